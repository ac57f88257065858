// @ts-check
// Five sentences for who opens the page for the first time; who has closed them does not see them again.

import { host } from "../state/host.js";
import { open, run, steps } from "../state/state.js";
import { html, signal, useEffect } from "./ui.js";

const SEEN = "toured";

const STOPS = /** @type {{view: string, title: string, says: string}[]} */ ([
  {
    view: "overview",
    title: "Overview: the answers first",
    says:
      "Has the network learned, when, which layers know the object, is anything wrong? A click on a cell or " +
      "a picture opens it.",
  },
  {
    view: "evolution",
    title: "Evolution: layers by epochs",
    says:
      "Each row is a layer, each column a step. What a layer treats alike has one colour: noise becomes " +
      "edges, then parts, then the object. Click a place to see what else is like it; drag the step above, " +
      "or press space to play.",
  },
  {
    view: "layer",
    title: "Layer: all channels of one",
    says:
      "Each tile is a channel. The number tells how well it shows the object: 0.5 is chance, 1 is perfect, " +
      "“dark” means that the object is its dark side. Click a channel for its film.",
  },
  {
    view: "compare",
    title: "Compare: two epochs, or two runs",
    says:
      "Any two sides with one zoom, their difference in the layer's own units, and the channels that " +
      "changed most.",
  },
  {
    view: "prediction",
    title: "Prediction: what it says of each image",
    says:
      "The worst image first, with what is missed and what is too much. The ? above explains every number " +
      "and key; everything that you see is in the address, so that a link opens it.",
  },
]);

// Which stop is shown; null where none is.
const stop = signal(/** @type {number | null} */ (null));

export function startTour() {
  visit(0);
}

function visit(/** @type {number} */ index) {
  stop.value = index;
  open(STOPS[index].view);
}

function end() {
  stop.value = null;
  host.remember(SEEN);
}

// first: whether the page was opened without being sent to some place of it.
export function Tour({ first }) {
  useEffect(() => {
    if (first && !host.recalls(SEEN) && steps.peek().length && run.peek()?.drawable.length) stop.value = 0;
  }, []);
  if (stop.value === null) return null;
  const index = stop.value;
  const { title, says } = STOPS[index];
  const last = index === STOPS.length - 1;
  return html`<aside class="tour" role="dialog" aria-label="a short tour" aria-live="polite">
    <h2>${title}</h2>
    <p>${says}</p>
    <p class="tour-acts">
      <span class="second">${index + 1} of ${STOPS.length}</span>
      <button onClick=${end}>${last ? "Close" : "Don't show this again"}</button>
      ${!last && html`<button class="plain" onClick=${() => visit(index + 1)}>Next</button>`}
    </p>
  </aside>`;
}
