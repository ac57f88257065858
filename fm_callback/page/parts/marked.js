// @ts-check
// A place in the picture that all others are compared with: how it is marked, and what is then seen.

import { SHOWN, bestOf, chosenMeasure, markPlace, markedPlace, state } from "../state/state.js";
import { html } from "./ui.js";
import { ColourBar, Segments } from "./widgets.js";

const PACE = 1 / 16; // of the picture, for a press of an arrow key
const MOVES = /** @type {Record<string, [number, number]>} */ ({
  ArrowLeft: [-PACE, 0],
  ArrowRight: [PACE, 0],
  ArrowUp: [0, -PACE],
  ArrowDown: [0, PACE],
});

export function forgetPlace() {
  state.at.value = null;
}

// A picture of a whole layer: a click marks a place in it; with the keyboard, Enter the middle, and the arrows move it.
export function Markable({ label, children }) {
  const mark = (event) => {
    const box = event.currentTarget.getBoundingClientRect();
    const byKey = event.detail === 0;
    if (byKey) markPlace(0.5, 0.5);
    else markPlace((event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height);
  };
  const move = (event) => {
    const by = MOVES[event.key];
    const place = markedPlace.peek();
    if (!by || !place) return;
    event.preventDefault();
    markPlace(place.x + by[0], place.y + by[1]);
  };
  return html`<button class="cell-button markable" aria-label=${`compare all with a place in ${label}`} onClick=${mark}
    onKeyDown=${move} data-own-keys=${markedPlace.value ? true : undefined}>${children}</button>`;
}

// What a picture of a layer is, to choose, and what it then means.
export function Shown() {
  const best = `${bestOf(chosenMeasure.value)} channel`;
  const choices = Object.entries(SHOWN).map(([key, text]) => [key, key === "best" ? best : text]);
  return html`<${Segments} label="what each picture shows" value=${state.show.value} options=${choices}
      onPick=${(value) => (state.show.value = value)} />
    <${Says} />`;
}

// What colours mean, in words.
function Says() {
  if (state.show.value !== "colour") {
    return html`<span class="second hint">
      ${state.show.value === "all" ? "the framed one is scored below" : "the best at the newest step, at all steps"}
    </span>`;
  }
  if (markedPlace.value) return html`<${Likeness} />`;
  return html`<span class="second hint">
    what a layer treats alike has one colour, through all epochs; click a place to see what else is like it
  </span>`;
}

// What is seen while a place is marked, and the way back.
export function Likeness() {
  return html`<span class="marked-place">
    <span>how like the marked place <span class="second">(cosine of all channels)</span></span>
    <${ColourBar} colour="diverging" low="−1 opposite" high="1 alike" />
    <button onClick=${forgetPlace} title="Back to colours (Esc)">forget the place</button>
  </span>`;
}
