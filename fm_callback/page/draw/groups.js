// @ts-check
// Channels that are alike: which show the same, and in what order like stands by like.

// Of a correlation's magnitude: two channels show the same, one perhaps as the other's negative.
export const ALIKE = 0.95;

/**
 * Groups of channels that show the same, each linked to another of its group; the largest first.
 *
 * @param {ArrayLike<number>[]} matrix correlations
 * @returns {number[][]} places, rising; of two or more
 */
export function groupsOf(matrix) {
  const left = new Set(matrix.keys());
  const found = [];
  for (const first of matrix.keys()) {
    if (!left.delete(first)) continue;
    const group = [first];
    for (const each of group) {
      for (const other of left) {
        if (Math.abs(matrix[each][other]) > ALIKE && left.delete(other)) group.push(other);
      }
    }
    if (group.length > 1) found.push(group.sort((one, two) => one - two));
  }
  return found.sort((one, two) => two.length - one.length);
}

/**
 * An order in which each channel is followed by the one, of those that are left, that is most like it.
 *
 * @param {ArrayLike<number>[]} matrix correlations
 * @param {number} first
 */
export function alikeOrder(matrix, first) {
  const order = [first];
  const left = new Set(matrix.keys());
  left.delete(first);
  while (left.size) {
    const row = matrix[order[order.length - 1]];
    const next = [...left].reduce((best, each) => (Math.abs(row[each]) > Math.abs(row[best]) ? each : best));
    order.push(next);
    left.delete(next);
  }
  return order;
}
