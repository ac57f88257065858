// @ts-check
// Play, pause and stepping through epochs.

import { awaited } from "../data/pictures.js";
import { effect, signal } from "../vendor/signals.js";
import { goTo, step, steps } from "./state.js";

export const playing = signal(false);

const FILM = 8000; // a film takes about so long, however many steps it has
const PATIENCE = 2000; // then it goes on without the pictures that do not come

export const pace = (/** @type {number} */ count) => Math.min(Math.max(FILM / Math.max(count, 1), 80), 600);

export function togglePlay() {
  const all = steps.peek();
  if (!playing.peek() && step.peek() === all.at(-1)) goTo(0);
  playing.value = !playing.peek() && all.length > 1;
}

export function move(/** @type {number} */ change) {
  playing.value = false;
  goTo(steps.peek().indexOf(step.peek()) + change);
}

let since = 0;

function tick() {
  const now = performance.now();
  if (awaited.peek() && now - since < PATIENCE) return;
  since = now;
  const all = steps.peek();
  const place = all.indexOf(step.peek());
  if (place >= all.length - 1) playing.value = false;
  else goTo(place + 1);
}

effect(() => {
  if (!playing.value) return;
  const timer = setInterval(tick, pace(steps.value.length));
  return () => clearInterval(timer);
});
