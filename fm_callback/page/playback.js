// Play, pause and stepping through epochs.

import { awaited } from "./pictures.js";
import { goTo, step, steps } from "./state.js";
import { effect, signal } from "./ui.js";

export const playing = signal(false);

const FILM = 8000; // a film takes about so long, however many steps it has
const PATIENCE = 2000; // then it goes on without the pictures that do not come

export function pace(count) {
  return Math.min(Math.max(FILM / Math.max(count, 1), 80), 600);
}

export function togglePlay() {
  const all = steps.peek();
  if (!playing.peek() && all.indexOf(step.peek()) === all.length - 1) goTo(0);
  playing.value = !playing.peek() && all.length > 1;
}

export function move(by) {
  playing.value = false;
  goTo(steps.peek().indexOf(step.peek()) + by);
}

let since = 0;

function tick() {
  const now = performance.now();
  if (awaited.peek() && now - since < PATIENCE) return;
  since = now;
  const all = steps.peek(),
    at = all.indexOf(step.peek());
  if (at >= all.length - 1) playing.value = false;
  else goTo(at + 1);
}

effect(() => {
  if (!playing.value) return;
  const timer = setInterval(tick, pace(steps.value.length));
  return () => clearInterval(timer);
});
