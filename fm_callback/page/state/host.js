// @ts-check
// What is around the page, as the door says.

import { signal } from "../vendor/signals.js";

/** @type {import("../data/types.js").Host} */
export let host;

export const dark = signal(false);

/** @param {import("../data/types.js").Host} given */
export function settle(given) {
  host = given;
  const look = () => {
    dark.value = host.dark();
  };
  look();
  host.onDark(look);
}
