// @ts-check
// Where data come from: whom to ask, and what to say when nobody answers, is given by the door that the page came
// through.

/** @type {import("./types.js").Ask} */
let ask;
/** @type {import("./types.js").Advice} */
let advice;

/** @param {{ask: import("./types.js").Ask, advice: import("./types.js").Advice}} given */
export function connect(given) {
  ({ ask, advice } = given);
}

/**
 * @param {string} route
 * @param {[string, string | number][]} [parameters]
 * @param {Record<string, string>} [headers]
 */
export async function answer(route, parameters = [], headers = {}) {
  let response;
  try {
    response = await ask(route, parameters, headers);
  } catch {
    throw new Error(advice.silent);
  }
  if (response.ok || response.status === 304) return response;
  const reason = (await response.text()).slice(0, 300);
  throw new Error(advice.refused(`${response.status} ${reason || response.statusText}`));
}

/**
 * @param {string} route
 * @param {[string, string | number][]} parameters
 */
export async function bytes(route, parameters) {
  return new Uint8Array(await (await answer(route, parameters)).arrayBuffer());
}

/**
 * Frames: a length, JSON of that length, then bytes that the JSON describes.
 *
 * @param {string} route
 * @param {[string, string | number][]} parameters
 */
export async function frames(route, parameters) {
  const buffer = await (await answer(route, parameters)).arrayBuffer();
  const length = new DataView(buffer).getUint32(0, true);
  return { head: JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length))), buffer, start: 4 + length };
}
