// Where data comes from: the routes beside this page. All that the page knows of the network is in this file.

// A page with the data inside it sets this to answer in the place of the server: (route, parameters) => Promise<Response>.
const ask =
  globalThis.featureMapsSource ?? ((route, parameters) => fetch(`${route}?${new URLSearchParams(parameters)}`));

class Failure extends Error {}

// `early`: a response that is there already.
export async function json(route, parameters = [], early = null) {
  return (await answer(route, parameters, early)).json();
}

export async function blob(route, parameters) {
  return (await answer(route, parameters)).blob();
}

// Frames: a length, JSON of that length, then bytes that the JSON describes.
export async function frames(route, parameters) {
  const buffer = await (await answer(route, parameters)).arrayBuffer();
  const length = new DataView(buffer).getUint32(0, true);
  return { heads: JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length))), buffer, start: 4 + length };
}

async function answer(route, parameters, early = null) {
  let response = early;
  try {
    response ??= await ask(route, parameters);
  } catch {
    throw new Failure("TensorBoard does not answer. Is it still running? Start it again and reload this page.");
  }
  if (response.ok) return response;
  const reason = (await response.text()).slice(0, 300);
  throw new Failure(
    `TensorBoard answered “${response.status} ${reason || response.statusText}”. Its terminal may say more.`,
  );
}
