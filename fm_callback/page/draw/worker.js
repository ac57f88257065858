// @ts-check
// Beside the page: what takes long is reckoned here, so that the page stays quick.

import { alike, basisOf, colours, correlationsOf } from "./components.js";

const WORK = /** @type {Record<string, (...given: any[]) => any>} */ ({
  alike,
  basisOf,
  colours,
  correlationsOf,
});

onmessage = ({ data: { id, name, given } }) => {
  try {
    postMessage({ id, found: WORK[name](...given) });
  } catch (error) {
    postMessage({ id, wrong: String(error) });
  }
};
postMessage({}); // it runs
