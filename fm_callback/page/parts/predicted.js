// @ts-check
// What the model predicts of a sample at a step, as a picture: its labels, or where they are wrong.

import { reachable } from "../data/log.js";
import { labelsOf, predicted } from "../data/predictions.js";
import { labelled } from "../data/probe.js";
import { ERRORS, RIGHT, paintErrors } from "../draw/errors.js";
import { paintLabels } from "../draw/probe.js";
import { dark } from "../state/host.js";
import { state } from "../state/state.js";
import { html, useEffect, useRef } from "./ui.js";
import { Segments } from "./widgets.js";

/** @typedef {import("../data/types.js").Run} Run */

// Whether what is wrong can be shown: what is true of the labels is known.
export const hasTruth = (/** @type {Run} */ { prediction, probe }) =>
  probe.labels > 0 && (prediction?.truth ?? []).some((position) => position >= 0);

// label: what a screen reader says of it, "" where words beside it say it all.
export function Predicted({ run, step, image, label = "" }) {
  const canvas = useRef(null);
  const errors = state.errors.value && hasTruth(run);
  const theme = dark.value;
  useEffect(() => {
    let gone = false;
    Promise.all([predicted(run, step, image), errors ? labelled(run, image) : null]).then(([found, truth]) => {
      if (gone || !canvas.current || !found) return;
      const drawn = errors && truth ? paintErrors(found, truth, run.prediction.truth) : paintLabels(found);
      canvas.current.width = drawn.width;
      canvas.current.height = drawn.height;
      canvas.current.getContext("2d").putImageData(drawn, 0, 0);
      canvas.current.dataset.step = step;
      canvas.current.dataset.shows = errors ? "errors" : "labels";
      canvas.current.classList.remove("waiting");
    });
    return () => {
      gone = true;
    };
  }, [run.id, run.versions.get(step), step, image, errors, theme, reachable.value]);
  const told = label ? { role: "img", "aria-label": label } : { "aria-hidden": "true" };
  return html`<canvas ref=${canvas} class="probe waiting" ...${told}></canvas>`;
}

// Labels or errors, and what their colours mean.
export function PredictionKey({ run }) {
  const known = hasTruth(run);
  const errors = state.errors.value && known;
  const choices = [
    [false, "labels"],
    [true, "errors"],
  ];
  const labels = labelsOf(run).map(({ name, colour, foreground, ignored }) => [
    name,
    colour ?? (ignored ? "#808080" : foreground ? "#ffffff" : "#000000"),
    "",
  ]);
  const kinds = [
    ["missed of the object", ERRORS.missed, "striped"],
    ["too much", ERRORS.much, ""],
    ["another label", ERRORS.other, "dotted"],
  ];
  const right = [
    ["right: object", RIGHT.object, ""],
    ["right: the rest", RIGHT.rest, ""],
  ];
  const shown = errors ? [...kinds.slice(0, labels.length > 2 ? 3 : 2), ...right] : labels;
  return html`<div class="tools prediction-key">
    ${
      known &&
      html`<${Segments} label="what is shown of the prediction" value=${errors} options=${choices}
        onPick=${(value) => (state.errors.value = value)} />`
    }
    <ul class="key">
      ${shown.map(
        ([name, colour, pattern]) =>
          html`<li><i class=${`swatch ${pattern}`} style=${{ "--swatch": colour }}></i>${name}</li>`,
      )}
    </ul>
  </div>`;
}
