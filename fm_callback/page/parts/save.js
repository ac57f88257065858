// @ts-check
// The menu from which what is seen is saved.

import { filmed, layer, place, run, view } from "../state/state.js";
import { saveFilm } from "./save_film.js";
import { canRecord, saveColourFilm } from "./save_colour_film.js";
import { savePicture } from "./save_picture.js";
import { saveSheet } from "./save_sheet.js";
import { html, signal, useRef } from "./ui.js";

// What is going on, or went wrong.
const told = signal(/** @type {string | null} */ (null));

const tell = (/** @type {string} */ text) => {
  told.value = text;
};

export function Save() {
  const menu = useRef(null);
  const shown = layer.value;
  const channel = shown.problem ? null : view.value.ofChannel ? filmed(shown) : place(shown);
  const doing = (work) => async () => {
    menu.current.open = false;
    try {
      await work();
      told.value = null;
    } catch (error) {
      told.value = `Not saved: ${/** @type {Error} */ (error).message}`;
    }
  };
  const close = (event) => {
    if (event.key === "Escape") menu.current.open = false;
  };
  const layers = view.value.ofLayer ? [shown] : run.value.drawable;
  const named = layers.length > 1 ? "all layers" : shown.path.slice(0, 40);
  const colour = (kind) => doing(() => saveColourFilm(layers, kind, tell));
  const sheet = (kind) => doing(() => saveSheet(kind, tell));
  const all = () => saveFilm(shown, [...shown.channels.keys()], tell);
  const one = () => saveFilm(shown, [Number(channel)], tell);
  // A closed menu shows nothing of what is in it: what is told stands beside it.
  return html`<span class="save">
    <details ref=${menu} class="menu" onKeyDown=${close}>
      <summary onClick=${() => (told.value = null)}>Save</summary>
      <div>
        <button onClick=${doing(savePicture)}>This view (PNG)</button>
        ${
          run.value.drawable.length > 0 &&
          html`<button onClick=${sheet("png")}>Layers × ${run.value.unit}s (PNG)</button>
            <button onClick=${sheet("svg")}>Layers × ${run.value.unit}s (SVG)</button>`
        }
        ${
          !layers[0]?.problem &&
          layers.length > 0 &&
          html`<button onClick=${colour("gif")}>Colour film: ${named} (GIF)</button>
            ${canRecord() && html`<button onClick=${colour("webm")}>Colour film: ${named} (WebM)</button>`}`
        }
        ${
          !shown.problem &&
          html`<button onClick=${doing(all)}>Film: channels of ${shown.path.slice(0, 40)} (GIF)</button>`
        }
        ${
          channel !== null &&
          channel >= 0 &&
          html`<button onClick=${doing(one)}>Film: channel ${shown.channels[channel]} (GIF)</button>`
        }
      </div>
    </details>
    ${told.value && html`<output role="status">${told.value}</output>`}
  </span>`;
}
