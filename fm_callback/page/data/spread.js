// @ts-check
// Which steps stand for all, where there is room for some.

/**
 * Steps for columns: the first, the one after it, the last, and between them equal ratios, because much happens early.
 *
 * @param {number[]} steps
 * @param {number} count
 */
export function geometric(steps, count) {
  const last = steps.length - 1;
  if (last < count) return steps;
  const places = new Set(count > 1 ? [0, last] : [last]);
  if (count > 2) places.add(1);
  for (let next = 1; next < count - 2; next++) places.add(Math.round(last ** (next / (count - 2))));
  for (let next = 1; places.size < count; next++) places.add(next);
  return [...places].sort((one, two) => one - two).map((index) => steps[index]);
}
