// @ts-check
// What the keys do.

import { signal } from "../vendor/signals.js";
import { byPointer, usedKeys } from "./pointer.js";
import { move, togglePlay } from "./playback.js";
import { COLOURS, filmed, goTo, layer, place, run, scale, scales, state, steps, view, views } from "./state.js";

export const helping = signal(false);

// Keys, what they do in words, and what is done.
const KEYS = /** @type {[string, string, Record<string, () => void>][]} */ ([
  ["space", "play or pause", { " ": togglePlay }],
  ["← →", "step back, step on", { ArrowLeft: () => move(-1), ArrowRight: () => move(1) }],
  ["Home End", "first step, newest step", { Home: () => goTo(0), End: () => goTo(steps.peek().length - 1) }],
  ["j k", "next layer, layer before", { j: () => moveLayer(1), k: () => moveLayer(-1) }],
  ["] [", "next channel, channel before", { "]": () => moveChannel(1), "[": () => moveChannel(-1) }],
  ["a", "all channels", { a: () => set("channel", null) }],
  [
    "s c",
    "next scale, next colour map",
    {
      s: () =>
        cycle(
          "scale",
          scales.peek().map(([key]) => key),
          scale.peek(),
        ),
      c: () => cycle("colour", Object.keys(COLOURS)),
    },
  ],
  ["o", "outline of the mask on the maps", { o: () => set("outline", !state.outline.peek()) }],
  ["Esc", "forget the marked place", { Escape: () => set("at", null) }],
  ["?", "this list", { "?": () => (helping.value = true) }],
]);

// The keys of the views are their places in the list.
const VIEWS_AFTER = 3;

export function help() {
  const rows = KEYS.map(([keys, says]) => [keys, says]);
  const all = views.value;
  rows.splice(VIEWS_AFTER, 0, [all.map((_, index) => index + 1).join(" "), all.map(({ title }) => title).join(", ")]);
  return rows;
}

/** @param {string} key */
function actionOf(key) {
  const chosen = views.peek()[Number(key) - 1];
  if (chosen) return () => set("view", chosen.key);
  return KEYS.find(([, , actions]) => Object.hasOwn(actions, key))?.[2][key];
}

/**
 * @param {string} entry
 * @param {any} value
 */
function set(entry, value) {
  state[entry].value = value;
}

/** @param {number} change */
export function moveLayer(change) {
  const layers = run.peek()?.drawable ?? [];
  // A view of all layers may have none marked yet; the others show one.
  const chosen = view.peek().ofLayer || layers.some(({ name }) => name === state.layer.peek());
  const next = chosen ? layers[layers.indexOf(layer.peek()) + change] : layers.at(change > 0 ? 0 : -1);
  if (next) set("layer", next.name);
}

/** @param {number} change */
export function moveChannel(change) {
  const { channels } = layer.peek();
  const chosen = view.peek().ofChannel ? filmed(layer.peek()) : (place(layer.peek()) ?? -1);
  const last = channels.length - 1;
  const next = chosen >= 0 ? Math.min(Math.max(chosen + change, 0), last) : change > 0 ? 0 : last;
  set("channel", channels[next]);
}

/**
 * @param {string} entry
 * @param {string[]} options
 */
function cycle(entry, options, now = state[entry].peek()) {
  set(entry, options[(options.indexOf(now) + 1) % options.length]);
}

/** @param {KeyboardEvent} event */
export function onKey(event) {
  const { key } = event;
  const target = /** @type {HTMLElement} */ (event.target);
  if (key === "Tab") usedKeys();
  if (event.ctrlKey || event.metaKey || event.altKey || helping.peek()) return;
  const along = key.startsWith("Arrow") || key === "Home" || key === "End";
  // What has the focus keeps the keys that it uses itself.
  if (target.matches("input[type=text], textarea")) return;
  if (target.matches("select") && (along || key === " " || /^\w$/.test(key))) return;
  if (target.matches("button, summary, a, input[type=checkbox]") && key === " ") {
    if (!byPointer()) return;
    target.blur();
  }
  if (along && (target.matches("input[type=range]") || target.closest("[data-own-keys]"))) return;
  const action = actionOf(key);
  if (!action || !run.peek()?.steps.length) return;
  event.preventDefault();
  action();
}
