// @ts-check
// The page's own colours, as its style names them.

import { pixelOf } from "./scale.js";

// "#rrggbb" of a name such as "--paper".
export const ink = (/** @type {string} */ name) =>
  getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** @typedef {"paper" | "hatch" | "faint" | "alarm" | "accent" | "outline"} Name */

/** @type {{theme?: string} & Record<Name, number> | null} */
let known = null;

// Those that maps are drawn with, as pixels.
export function inks() {
  const { theme } = document.documentElement.dataset;
  if (!known || known.theme !== theme) {
    const names = ["--paper", "--hatch", "--hatch-paper", "--alarm", "--accent", "--outline"];
    const [paper, hatch, faint, alarm, accent, outline] = names.map((name) => pixelOf(ink(name)));
    known = { theme, paper, hatch, faint, alarm, accent, outline };
  }
  return known;
}
