// @ts-check
// The first thing seen: has it learned, when, where, is anything wrong, and what is logged at all.

import { measureOf, stepName } from "../data/log.js";
import { format } from "../data/measures.js";
import { meanIou } from "../data/predictions.js";
import { geometric } from "../data/spread.js";
import { numbersOf, scoresOf, summariesOf } from "../data/tables.js";
import { verdict } from "../data/verdict.js";
import { tileSize, wideness } from "../draw/geometry.js";
import { Colours } from "../parts/colours.js";
import { Findings } from "../parts/findings.js";
import { current, useAhead } from "../parts/maps.js";
import { Likeness } from "../parts/marked.js";
import { Predicted, PredictionKey, hasTruth } from "../parts/predicted.js";
import { ProbePicture } from "../parts/probe_picture.js";
import { html } from "../parts/ui.js";
import { Word, plural, sizeOf, useNear, useWidth } from "../parts/widgets.js";
import { image, markedPlace, open, openAt, run, state, step, steps } from "../state/state.js";
import { Heatmap } from "./heatmap.js";

const SCORE = /** @type {const} */ ({ kind: "score" });
const CELL = 96; // pixels of a prediction
const LEAST = 64; // pixels of a layer's picture
const MOST = 132;

const WORDS = ["mask_auroc", "readout", "edge_auroc"]; // that the sentences use
const MARKS = { learned: "●", where: "●", wrong: "▲", well: "✓" };

export function Overview() {
  const layers = run.value.drawable;
  useAhead(
    () => run.value.drawable,
    () => [step.value],
    200,
  );
  return html`<div class="overview">
    <div class=${hasFilm() ? "first" : ""}>
      <${InShort} layers=${layers} />
      ${hasFilm() && html`<${Film} />`}
    </div>
    <${Heatmap} layers=${layers} wide />
    <${Strip} layers=${layers} />
    <${Logged} />
  </div>`;
}

function InShort({ layers }) {
  const tables = new Map(layers.flatMap((layer) => (numbersOf(layer).value ? [[layer, numbersOf(layer).value]] : [])));
  const summaries = summariesOf(run.value).value;
  const scores = scoresOf(run.value).value;
  const waits = tables.size < layers.length || !summaries || (run.value.prediction && !scores);
  const known = { run: run.value, step: step.value, scores, truth: hasTruth(run.value), tables, summaries };
  const sentences = waits ? [] : verdict(known);
  const words = WORDS.map(measureOf).filter(({ label }) => sentences.some(({ text }) => text.includes(label)));
  return html`<section class="card short" data-whole>
    <h2>In short, ${stepName(run.value, step.value)}</h2>
    ${
      waits
        ? html`<p class="ghost" style="height: 150px; width: 100%">loading</p>`
        : html`<ul>
            ${sentences.map(
              ({ about, text, link }) => html`<li class=${about}>
                <i aria-hidden="true">${MARKS[about]}</i>
                <span>
                  ${about === "wrong" && html`<span class="unseen">warning: </span>`}${text}${" "}
                  ${
                    link &&
                    html`<button class="link" aria-label=${`look: ${text}`}
                      onClick=${() => open(link.view, link.changes)}>look</button>`
                  }
                </span>
              </li>`,
            )}
            <${Findings} />
          </ul>
          ${
            words.length > 0 &&
            html`<p class="second words">
              What is that? ${words.map((measure, index) => html`${index > 0 && ", "}<${Word} measure=${measure} />`)}
            </p>`
          }`
    }
  </section>`;
}

// Whether anything of the image in view can be shown.
const hasFilm = () =>
  run.value.probe.pictures > image.value ||
  run.value.probe.labels > image.value ||
  run.value.prediction?.kind === "labels";

// The picture, its labels, and what is predicted of it through the epochs.
function Film() {
  const [ref, width] = useWidth(700);
  const { pictures, labels } = run.value.probe;
  const shown = image.value;
  const predicts = run.value.prediction?.kind === "labels";
  const known = hasTruth(run.value);
  const scores = scoresOf(run.value).value;
  const beside = Number(pictures > shown) + Number(labels > shown);
  const fitting = Math.floor((width + 10) / (CELL + 10)) - beside;
  const count = Math.min(Math.max(fitting, 4), steps.value.length); // on a narrow page in several rows
  const columns = predicts ? geometric(steps.value, count) : [];
  const iou = (when) => (scores && known ? format(meanIou(run.value, scores, when, { image: shown }), SCORE) : "");
  const end = (kind, label) => html`<figure data-whole>
    <${ProbePicture} kind=${kind} image=${shown} label=${label} />
    <figcaption>${label}</figcaption>
  </figure>`;
  return html`<section class="card" data-whole>
    <h2>${predicts ? `Image ${shown + 1} and its prediction` : `Image ${shown + 1}`}</h2>
    <div ref=${ref} class="film" style=${{ "--cell": `${CELL}px` }}>
      ${pictures > shown && end("input", "input")} ${labels > shown && end("labels", "true mask")}
      ${columns.map(
        (when) => html`<figure data-whole key=${when}>
          <button class="predicted" aria-label=${`open the predictions, ${stepName(run.value, when)}`}
            onClick=${() => open("prediction", { step: when === steps.peek().at(-1) ? null : when })}>
            <${Predicted} run=${run.value} step=${when} image=${shown} />
          </button>
          <figcaption>
            ${when === 0 ? "before" : stepName(run.value, when)}
            ${known && html` <span class="value">${iou(when)}</span>`}
          </figcaption>
        </figure>`,
      )}
    </div>
    ${predicts && html`<${PredictionKey} run=${run.value} />`}
    ${
      known &&
      html`<p class="second">The number is the mean IoU of this image: overlap of prediction and mask, 1 is all.</p>`
    }
  </section>`;
}

// All layers in colour at the step.
function Strip({ layers }) {
  const [ref, width] = useWidth();
  const fitting = Math.floor((width + 8) / layers.length) - 8;
  const cell = Math.min(Math.max(fitting, LEAST), MOST);
  return html`<section class="card" data-whole>
    <h2>All layers, ${stepName(run.value, step.value)}</h2>
    ${
      markedPlace.value
        ? html`<div class="tools"><${Likeness} /></div>`
        : html`<p class="second">
            From input to output. What a layer treats alike has one colour; colours of two layers have nothing to do
            with each other. Click one to open it.
          </p>`
    }
    <ol ref=${ref} class="colour-strip" style=${{ "--width": `${cell}px` }}>
      ${layers.map((layer) => html`<${Station} key=${layer.name} layer=${layer} cell=${cell} />`)}
    </ol>
  </section>`;
}

function Station({ layer, cell }) {
  const [ref, near] = useNear();
  const size = tileSize(layer, Math.min(cell, cell * wideness(layer, 1)));
  return html`<li ref=${ref}>
    <button class="tile" title=${`${layer.path}, ${sizeOf(layer)}`}
      aria-current=${layer.name === state.layer.value ? "true" : undefined}
      onClick=${() => openAt("layer", layer, step.peek())}>
      <span class="frame" style=${{ width: `${size.width}px`, height: `${size.height}px` }}>
        ${near && html`<${Colours} layer=${layer} when=${current} ...${size} label="" />`}
      </span>
      <span class="under">
        <b class="number">${layer.number == null ? layer.path : `#${layer.number}`}</b>
        <span class="unseen"> open ${layer.path}</span>
      </span>
    </button>
  </li>`;
}

// What there is, in words.
function Logged() {
  const { layers, probe, labels, model, steps: all, unit } = run.value;
  const channels = layers.reduce((sum, layer) => sum + (layer.channels?.length ?? 0), 0);
  const of = layers.reduce((sum, layer) => sum + (layer.shape?.at(-1) ?? 0), 0);
  const numbers = layers.map((layer) => layer.number).filter((number) => number != null);
  const which = numbers.length ? ` (#${numbers[0]} to #${numbers.at(-1)})` : "";
  const named = labels.map(
    ({ name, foreground, ignored }) => name + (foreground ? " (the object)" : ignored ? " (ignored)" : ""),
  );
  const size = probe.plane ? `, ${probe.plane.join("×")}` : "";
  const scaling = probe.scaling ? `; ${probe.scaling}` : "";
  const { name = "", parameters, versions = {} } = /** @type {Record<string, any>} */ (model ?? {});
  const rows = [
    ["model", `${name}${parameters ? `, ${plural(parameters, "parameter")}` : ""}`],
    ["layers", `${layers.length}${which}; ${channels} of their ${plural(of, "channel")}`],
    ["steps", `${plural(all.length, "step")}, ${unit} ${all[0]} to ${all.at(-1)}`],
    ["probe", `${plural(probe.images, "image")}${size}, of which ${probe.stored} can be looked at${scaling}`],
    ["labels", named.join(", ") || "none were given"],
    [
      "written by",
      Object.entries(versions)
        .map(([what, version]) => `${what} ${version}`)
        .join(", "),
    ],
  ].filter(([, text]) => text);
  return html`<section class="card" data-whole>
    <h2>What is logged</h2>
    <dl class="logged">${rows.map(([what, text]) => html`<dt>${what}</dt><dd>${text}</dd>`)}</dl>
  </section>`;
}
