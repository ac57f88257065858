// @ts-check
// The page's own colours, as its style names them.

import { pixelOf } from "./scale.js";

// "#rrggbb" of a name such as "--paper".
export const ink = (/** @type {string} */ name) =>
  getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** @type {{theme?: string, paper: number, hatch: number, faint: number, alarm: number, outline: number} | null} */
let known = null;

// Those that maps are drawn with, as pixels.
export function inks() {
  const { theme } = document.documentElement.dataset;
  if (!known || known.theme !== theme) {
    const names = ["--paper", "--hatch", "--hatch-paper", "--alarm", "--outline"];
    const [paper, hatch, faint, alarm, outline] = names.map((name) => pixelOf(ink(name)));
    known = { theme, paper, hatch, faint, alarm, outline };
  }
  return known;
}
