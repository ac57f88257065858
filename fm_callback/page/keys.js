// The keyboard, and the page that explains it.

import { html, signal, useEffect, useRef } from "./ui.js";
import { COLOURS, VIEWS, goTo, layer, place, run, scale, scales, state, steps } from "./state.js";
import { move, togglePlay } from "./playback.js";

export const helping = signal(false);

const HELP = [
  ["space", "play or pause"],
  ["← →", "step back, step on"],
  ["Home End", "first step, newest step"],
  ["1 2 3 4 5", "Evolution, Layer, Channel, Compare, Depth"],
  ["j k", "next layer, layer before"],
  ["] [", "next channel, channel before"],
  ["a", "all channels"],
  ["s c", "next scale, next colour map"],
  ["o", "outline of the mask on the maps"],
  ["?", "this list"],
];

const ACTIONS = {
  " ": togglePlay,
  ArrowLeft: () => move(-1),
  ArrowRight: () => move(1),
  Home: () => goTo(0),
  End: () => goTo(steps.peek().length - 1),
  j: () => moveLayer(1),
  k: () => moveLayer(-1),
  "]": () => moveChannel(1),
  "[": () => moveChannel(-1),
  a: () => (state.channel.value = null),
  o: () => (state.outline.value = !state.outline.value),
  s: () =>
    cycle(
      state.scale,
      scales.peek().map(([key]) => key),
      scale.peek(),
    ),
  c: () => cycle(state.colour, Object.keys(COLOURS)),
  "?": () => (helping.value = true),
  ...Object.fromEntries(VIEWS.map((view, at) => [String(at + 1), () => (state.view.value = view)])),
};

export function moveLayer(by) {
  const layers = (run.peek()?.layers ?? []).filter((each) => !each.problem);
  // In Evolution and Depth none may be marked yet; the other views show one.
  const chosen =
    !["evolution", "depth"].includes(state.view.peek()) || layers.some((each) => each.layer === state.layer.peek());
  const next = chosen ? layers[layers.indexOf(layer.peek()) + by] : layers.at(by > 0 ? 0 : -1);
  if (next) state.layer.value = next.layer;
}

export function moveChannel(by) {
  const { channels } = layer.peek();
  const at = place(layer.peek());
  state.channel.value =
    channels[
      at === null || at < 0 ? (by > 0 ? 0 : channels.length - 1) : Math.min(Math.max(at + by, 0), channels.length - 1)
    ];
}

function cycle(choice, options, now = choice.peek()) {
  choice.value = options[(options.indexOf(now) + 1) % options.length];
}

// Whether the pointer was used last. What was clicked has the focus, but does not keep the page's keys.
let pointed = false;

export const byPointer = () => pointed;

function onKey(event) {
  if (event.key === "Tab") pointed = false;
  const { target, key } = event;
  if (event.ctrlKey || event.metaKey || event.altKey || helping.peek()) return;
  // What has the focus keeps the keys that it uses itself.
  if (target.matches("input[type=text], textarea")) return;
  if (
    target.matches("select") &&
    (key.startsWith("Arrow") || key === " " || key === "Home" || key === "End" || /^\w$/.test(key))
  )
    return;
  if (target.matches("button, summary, a, input[type=checkbox]") && key === " ") {
    if (!byPointer()) return;
    target.blur();
  }
  if (target.matches("input[type=range]") && (key.startsWith("Arrow") || key === "Home" || key === "End")) return;
  if (target.closest("[data-own-keys]") && (key.startsWith("Arrow") || key === "Home" || key === "End")) return;
  const action = ACTIONS[key];
  if (!action || !run.peek()?.steps.length) return;
  event.preventDefault();
  action();
}

export function Keyboard() {
  const dialog = useRef(null);
  useEffect(() => {
    const point = () => (pointed = true);
    document.addEventListener("keydown", onKey);
    document.addEventListener("pointerdown", point, true);
    return () => {
      document.removeEventListener("keydown", onKey);
      document.removeEventListener("pointerdown", point, true);
    };
  }, []);
  useEffect(() => {
    if (helping.value && !dialog.current.open) dialog.current.showModal();
  }, [helping.value]);
  return html`<dialog ref=${dialog} aria-labelledby="help-title" onClose=${() => (helping.value = false)} onClick=${(event) => event.target === dialog.current && dialog.current.close()}>
    <h2 id="help-title">Keys</h2>
    <table><tbody>${HELP.map(([keys, says]) => html`<tr><th scope="row">${keys.split(" ").map((key) => html`<kbd>${key}</kbd> `)}</th><td>${says}</td></tr>`)}</tbody></table>
    <h2>How to read the maps</h2>
    <p>Each tile is one channel of a layer's output for one probe image. With the scale “each map”, black is a map's own lowest value and white its highest, over all stored images of that step. A shared scale makes brightness comparable.</p>
    <p>The best channel of many scores above chance even before training, the more so on small maps: look at the median beside it, and at the step before training.</p>
    <form method="dialog"><button class="plain">Close</button></form>
  </dialog>`;
}
