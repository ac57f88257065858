// @ts-check
// What the model predicts: each stored sample through the steps, the worst first, and how well, label by label.

import { stepName } from "../data/log.js";
import { format } from "../data/measures.js";
import { labelsOf, meanIou, scoreOf } from "../data/predictions.js";
import { geometric } from "../data/spread.js";
import { scoresOf } from "../data/tables.js";
import { Curves } from "../parts/curves.js";
import { Predicted, PredictionKey, hasTruth } from "../parts/predicted.js";
import { ProbePicture } from "../parts/probe_picture.js";
import { html } from "../parts/ui.js";
import { plural, useNear, useWidth } from "../parts/widgets.js";
import { goTo, run, state, step, steps } from "../state/state.js";

const SCORE = /** @type {const} */ ({ kind: "score" });
const INKS = ["--blue", "--series-2", "--series-3", "--series-4"];

export function Prediction() {
  const { prediction } = run.value;
  if (!prediction) {
    return html`<p class="message">
      No prediction is stored in this run: none was read of the model's output, or <code>prediction=False</code> was
      given.
    </p>`;
  }
  return prediction.kind === "class" ? html`<${Classes} />` : html`<${Samples} />`;
}

function Samples() {
  const [ref, width] = useWidth();
  const scores = scoresOf(run.value).value;
  const { stored, images } = run.value.probe;
  const known = hasTruth(run.value);
  const iou = (image) => (scores && known ? meanIou(run.value, scores, step.value, { image }) : NaN);
  const order = [...Array(Math.min(stored, images)).keys()].sort((a, b) => (iou(a) || 0) - (iou(b) || 0));
  const count = Math.max(1, Math.min(Math.floor((width - 230) / 132) - 1, steps.value.length - 1));
  const columns = width < 640 ? [] : geometric(steps.value, count + 1).slice(0, -1); // the last one follows the step
  const all = scores && known ? meanIou(run.value, scores, step.value, {}) : NaN;
  const names = labelsOf(run.value).flatMap(({ name, ignored }) => (ignored ? [] : [name]));
  return html`<div ref=${ref} class="prediction" style=${{ "--count": columns.length }}>
    <${PredictionKey} run=${run.value} />
    <p class="second">
      ${
        known
          ? html`${stepName(run.value, step.value)}: mean IoU <b>${format(all, SCORE)}</b>
              ${" "}of ${names.length > 4 ? plural(names.length, "label") : names.join(" and ")} over
              ${" "}${plural(images, "probe image")}; the worst of those that are stored stands first.`
          : "How well it predicts is not known: there are no masks, or their labels are not those of the output."
      }
    </p>
    <div class="samples">
      <div class="line head" aria-hidden="true">
        <span>input</span><span>true mask</span>
        ${columns.map((each) => html`<span>${stepName(run.value, each)}</span>`)}
        <span class="now">${stepName(run.value, step.value)}</span>
      </div>
      ${order.map((image) => html`<${Sample} key=${image} image=${image} columns=${columns} scores=${scores} />`)}
    </div>
    ${scores && known && html`<${Progress} scores=${scores} />`}
  </div>`;
}

function Sample({ image, columns, scores }) {
  const [ref, near] = useNear(image < 4);
  const { pictures, labels } = run.value.probe;
  const known = hasTruth(run.value);
  const told = (when) => (scores && known ? format(meanIou(run.value, scores, when, { image }), SCORE) : "");
  const cell = (when) => html`<button class="tile" data-whole title=${whole(image, when, scores)}
    aria-label=${`image ${image + 1}, ${stepName(run.value, when)}: IoU ${told(when)}; ${whole(image, when, scores)}`}
    onClick=${() => goTo(steps.peek().indexOf(when))}>
    ${near && html`<${Predicted} run=${run.value} step=${when} image=${image} />`}
    <span class="under"><span></span><span class="value">${known ? `IoU ${told(when)}` : ""}</span></span>
  </button>`;
  const beside = (kind, label, there) => html`<figure data-whole>
    ${near && there && html`<${ProbePicture} kind=${kind} image=${image} label=${label} />`}
    ${kind === "input" && html`<figcaption>image ${image + 1}</figcaption>`}
  </figure>`;
  return html`<section ref=${ref} class="line" aria-label=${`image ${image + 1}`}>
    ${beside("input", `input ${image + 1}`, pictures > image)}
    ${beside("labels", `true mask ${image + 1}`, labels > image)}
    ${columns.map((each) => html`<div key=${each}>${cell(each)}</div>`)}
    <div class="now">${cell(step.value)}</div>
  </section>`;
}

// "cat .91, dog .40" of a sample at a step.
function whole(image, when, scores) {
  if (!scores || !hasTruth(run.value)) return "";
  const told = labelsOf(run.value).flatMap(({ name }, label) => {
    const value = scoreOf(run.value, scores, when, image, label, "iou");
    return Number.isFinite(value) ? [`${name} ${format(value, SCORE)}`] : [];
  });
  return told.join(", ");
}

// The mean IoU of each label over all samples, step by step.
function Progress({ scores }) {
  const labels = labelsOf(run.value);
  const lines = labels
    .map(({ name }, label) => ({
      label: name,
      values: scores.steps.map((each) => meanIou(run.value, scores, each, { label })),
      ink: INKS[label % INKS.length],
      dash: label < INKS.length ? undefined : [4, 4],
    }))
    .filter(({ values }) => values.some(Number.isFinite));
  const all = {
    label: "mean",
    values: scores.steps.map((each) => meanIou(run.value, scores, each, {})),
    ink: "--ink",
    width: 2,
  };
  return html`<div class="card" data-whole>
    <h2>IoU by ${run.value.unit}</h2>
    <p class="note">
      Intersection over union of predicted and true cells, the mean over
      ${" "}${plural(run.value.probe.images, "probe image")}; a label that is nowhere, predicted or true, does not
      count.
    </p>
    <${Curves} title="IoU" unit=${run.value.unit} x=${scores.steps} lines=${[all, ...lines.slice(0, 12)]}
      here=${step.value} range=${[0, 1]} names=${(value) => stepName(run.value, value)} height=${220}
      format=${(value) => format(value, SCORE)}
      onPick=${(index) => goTo(steps.peek().indexOf(scores.steps[index]))} />
  </div>`;
}

// Of a model that tells classes apart: the class of each sample, and how sure it is.
function Classes() {
  const scores = scoresOf(run.value).value;
  const { images, pictures } = run.value.probe;
  const labels = labelsOf(run.value);
  const columns = [...new Set([...geometric(steps.value, 7), step.value])].sort((one, two) => one - two);
  const shown = Math.min(images, 64);
  const told = (image, when) => {
    const name = labels[scores?.get(when, image, "class") ?? -1]?.name;
    const sure = scores?.get(when, image, "probability");
    return name === undefined ? "–" : html`${name} <span class="second">${format(sure, SCORE)}</span>`;
  };
  return html`<div class="prediction">
    <p class="second">The class with the highest output of each probe image, and its probability.</p>
    <table class="matrix" data-whole>
      <thead>
        <tr>
          <th scope="col">image</th>
          ${columns.map((each) => html`<th scope="col">${stepName(run.value, each)}</th>`)}
        </tr>
      </thead>
      <tbody>
        ${[...Array(shown).keys()].map(
          (image) => html`<tr key=${image}>
            <th scope="row">
              ${
                pictures > image &&
                html`<span class="thumb"><${ProbePicture} kind="input" image=${image} label="" /></span>`
              }
              image ${image + 1}
            </th>
            ${columns.map((each) => html`<td>${told(image, each)}</td>`)}
          </tr>`,
        )}
      </tbody>
    </table>
    ${images > shown && html`<p class="second">${images - shown} more images are not listed.</p>`}
  </div>`;
}
