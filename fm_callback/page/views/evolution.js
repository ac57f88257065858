// @ts-check
// Layers as rows, epochs as columns: how each layer's maps change while the network learns.

import { stepName } from "../data/log.js";
import { excessOf, format, told, toldBest, toldExcess } from "../data/measures.js";
import { meanIou } from "../data/predictions.js";
import { numbersOf, scoresOf } from "../data/tables.js";
import { sheet, tileSize, wideness } from "../draw/geometry.js";
import { InView } from "../parts/in_view.js";
import { Maps, current, stepsAround, useAhead } from "../parts/maps.js";
import { Predicted, hasTruth } from "../parts/predicted.js";
import { html, useEffect, useMemo, useRef, useSignal } from "../parts/ui.js";
import { Facts, LayerLabel, Meter, Sparkline, basis, useNear, useWidth } from "../parts/widgets.js";
import {
  bestOf,
  chosenMeasure,
  image,
  open,
  openAt,
  place,
  placesOf,
  run,
  state,
  step,
  steps,
} from "../state/state.js";

const NARROW = 640;
const SOON = 4; // rows that are asked for before it is known what is on the screen

// The layers on the screen: what the scrubber will show next of them is fetched before it is asked for.
const visible = new Set();

export function Evolution() {
  const [ref, width] = useWidth();
  const count = steps.value.length;
  const plan = useMemo(() => planFor(width, count), [width, count]);
  const chosen = state.columns.value?.filter((each) => steps.value.includes(each)).slice(0, plan.count);
  const columns = chosen?.length ? pad(chosen, plan.count, steps.value) : geometric(steps.value, plan.count);
  const grid = {
    "--names": `${plan.names}px`,
    "--cell": `${plan.cell}px`,
    "--now": `${plan.now}px`,
    "--count": columns.length,
  };
  useAhead(() => [...visible], stepsAround);

  return html`<div ref=${ref} class=${plan.narrow ? "evolution narrow" : "evolution"} style=${grid}>
    <div class="columns" data-head>
      <span class="corner">
        ${plan.narrow ? null : "layer"}
        ${
          state.columns.value &&
          html` <button class="link" onClick=${() => (state.columns.value = null)}>automatic columns</button>`
        }
      </span>
      ${columns.map((_, index) => html`<${ColumnHead} columns=${columns} index=${index} />`)}
      <${NowHead} />
    </div>
    ${run.value.prediction?.kind === "labels" && html`<${Predictions} columns=${columns} plan=${plan} />`}
    ${run.value.layers.map(
      (layer, index) =>
        html`<${Row} key=${layer.name} layer=${layer} columns=${columns} plan=${plan} guess=${index < SOON} />`,
    )}
  </div>`;
}

// What the model predicts of the image in view, above all layers.
function Predictions({ columns, plan }) {
  const scores = scoresOf(run.value).value;
  const known = hasTruth(run.value);
  const shown = image.value;
  const iou = (when) => (scores && known ? meanIou(run.value, scores, when, { image: shown }) : NaN);
  const all = (when) => (scores && known ? meanIou(run.value, scores, when, {}) : NaN);
  const [high, wide] = run.value.prediction?.size ?? [1, 1];
  const shape = (size) => {
    const width = Math.min(size, 128);
    return { width: `${width}px`, height: `${Math.min(Math.max((width * high) / wide, 12), 160)}px` };
  };
  const cell = (when, size) => html`<button class="predicted" style=${shape(size)}
      aria-label=${`open the predictions, ${stepName(run.value, when)}`}
      onClick=${() => open("prediction", { step: when === steps.peek().at(-1) ? null : when })}>
      <${Predicted} run=${run.value} step=${when} image=${shown} />
    </button>
    <p class="caption">${known && html`IoU <span class="value">${format(iou(when), SCORE)}</span>`}</p>`;
  return html`<section class="predictions" data-whole aria-label="prediction">
    <div class="names">
      <h2>prediction</h2>
      <p class="facts">
        <span>${state.errors.value && known ? "where it is wrong" : "labels"} of image ${shown}</span>
        ${known && html`<span>mean IoU of all ${format(all(step.value), SCORE)}</span>`}
      </p>
    </div>
    ${columns.map((each) => html`<div class="cell" key=${each}>${cell(each, plan.cell)}</div>`)}
    <div class="cell now">${cell(step.value, plan.now)}</div>
  </section>`;
}

const SCORE = /** @type {const} */ ({ kind: "score" });

function ColumnHead({ columns, index }) {
  const pick = (event) =>
    (state.columns.value = columns.map((each, place) => (place === index ? Number(event.currentTarget.value) : each)));
  return html`<label class="column-head" title="Choose which step this column shows">
    <span class="unseen">column ${index + 1} shows</span>
    <select value=${columns[index]} onChange=${pick}>
      ${steps.value.map(
        (each) => html`<option value=${each} selected=${each === columns[index]}>${stepName(run.value, each)}</option>`,
      )}
    </select>
  </label>`;
}

// On its own, so that a step does not draw the whole table anew.
function NowHead() {
  return html`<span class="column-head now">${stepName(run.value, step.value)}</span>`;
}

// How many columns fit and are of use, the last one, which follows the scrubber, not counted.
function planFor(width, steps) {
  if (width < NARROW) {
    return { narrow: true, names: width, cell: Math.floor(width * 0.36), now: Math.floor(width * 0.58), count: 1 };
  }
  const names = 214;
  const gap = 14;
  const count = Math.max(1, Math.min(Math.floor((width - names) / (172 + gap)) - 1, steps - 1));
  const cell = Math.min(Math.floor((width - names) / (count + 1)) - gap, 260);
  return { narrow: false, names, cell, now: cell, count };
}

/**
 * Much happens early: steps at equal ratios, the first included, the last left to the column that follows the scrubber.
 *
 * @param {number[]} steps
 * @param {number} count
 */
export function geometric(steps, count) {
  const last = steps.length - 1;
  if (last <= count) return steps.slice(0, Math.max(last, 1));
  const places = new Set([0]);
  for (let next = 1; next < count; next++) places.add(Math.round(last ** (next / count)));
  for (let next = 1; places.size < count; next++) places.add(next);
  return [...places].sort((a, b) => a - b).map((index) => steps[index]);
}

function pad(chosen, count, all) {
  const more = geometric(all, count).filter((each) => !chosen.includes(each));
  return [...chosen, ...more].slice(0, Math.max(count, chosen.length));
}

function Row({ layer, columns, plan, guess }) {
  const [ref, near] = useNear(guess);
  useEffect(() => {
    if (!near || layer.problem) return;
    visible.add(layer);
    return () => visible.delete(layer);
  }, [near, layer]);
  const chosen = layer.name === state.layer.value;
  useBrought(ref, chosen);
  if (layer.problem) {
    return html`<section ref=${ref} class="row" data-whole>
      <h2 class="names"><${LayerLabel} layer=${layer} /></h2>
      <p class="cannot">${layer.problem}</p>
    </section>`;
  }
  const places = placesOf(layer);
  const small = fit(layer, places, plan.cell);
  const large = fit(layer, places, plan.now);
  const height = { height: `${Math.max(large.whole.height, plan.narrow ? 0 : 84) + 46}px` };
  return html`<section ref=${ref} class="row" data-whole aria-label=${`layer ${layer.path}`}
    aria-current=${chosen ? "true" : undefined}>
    <div class="names"><${Names} layer=${layer} near=${near} /></div>
    ${columns.map(
      (each) =>
        html`<div class="cell" key=${each} style=${height}>
          ${near && html`<${Cell} layer=${layer} when=${each} places=${places} size=${small} />`}
        </div>`,
    )}
    <div class="cell now" style=${height}>
      ${near && html`<${Cell} layer=${layer} when=${current} places=${places} size=${large} />`}
    </div>
  </section>`;
}

// The chosen row is brought into view.
function useBrought(ref, chosen) {
  const shown = useRef(false);
  useEffect(() => {
    const later = shown.current;
    shown.current = true;
    if (!chosen) return;
    const frame = requestAnimationFrame(() => bring(ref.current, later)); // the page's width is known by then
    return () => cancelAnimationFrame(frame);
  }, [chosen]);
}

// Rows grow a little when their numbers come: with the page's opening, the chosen one is brought to the middle.
function bring(row, later) {
  const page = /** @type {HTMLElement} */ (document.getElementById("view")).getBoundingClientRect();
  const { top, bottom } = row.getBoundingClientRect();
  if (later || top < page.top || bottom > page.bottom) row.scrollIntoView({ block: later ? "nearest" : "center" });
}

function fit(layer, places, width) {
  if (places.length !== 1) {
    return places.length ? sheet(layer, places.length, width, width / 2) : { whole: { width, height: 40 } };
  }
  const size = tileSize(layer, Math.min(width, 150 * wideness(layer, 2)));
  return { columns: 1, gap: 0, ...size, whole: size };
}

function Cell({ layer, when, places, size: { whole, ...size } }) {
  const shown = useSignal(typeof when === "function" ? null : when);
  if (!places.length) return html`<p class="cannot">channel ${state.channel.value} is not logged</p>`;
  const label = `${layer.path}, ${stepName(layer.run, shown.value)}`;
  const open = () => openAt("layer", layer, shown.peek() ?? step.peek());
  return html`<button class="cell-button" aria-label=${`open ${label}`} onClick=${open}>
      <${Maps} layer=${layer} when=${when} places=${places} ...${size} label=${label}
        onShown=${({ step }) => (shown.value = step)} />
    </button>
    <${Caption} layer=${layer} step=${shown.value} places=${places} />`;
}

function Caption({ layer, step, places }) {
  const numbers = numbersOf(layer).value;
  const measure = chosenMeasure.value;
  if (!numbers || step === null) return html`<p class="caption"><span class="ghost">0.00</span></p>`;
  if (places.length === 1) {
    const value = numbers.get(step, places[0], measure.field);
    const strength = measure.sided ? Math.max(value, 1 - value) : value;
    const over = toldExcess(excessOf(numbers, step, places[0], measure));
    return html`<div class="caption">
      <p>
        <${Meter} value=${strength} measure=${measure} />${" "}
        ${measure.short} <span class="value">${told(value, measure)}</span>${" "}
        <span class="second" title=${over.title}>${over.text}</span>
      </p>
      <p><${InView} layer=${layer} step=${step} place=${places[0]} measure=${measure} short /></p>
    </div>`;
  }
  const summary = numbers.summary(step, measure.field);
  const over = toldExcess(excessOf(numbers, step, summary.best, measure));
  const channel = summary.best === null ? "" : ` (channel ${layer.channels[summary.best]})`;
  const best = `${bestOf(measure)} ${toldBest(summary, measure)}${channel}`;
  const title = [`${measure.label}: ${best}, median ${format(summary.median, measure)}`, over.title, basis(layer)];
  return html`<div class="caption" title=${title.filter(Boolean).join("; ")}>
    <p>
      <${Meter} value=${summary.highest} measure=${measure} />${" "}
      <span class="value">${toldBest(summary, measure)}</span> <span class="second">${over.text}</span>
    </p>
    <p>
      <span class="second">median ${format(summary.median, measure)} </span>
      <${InView} layer=${layer} step=${step} place=${summary.best} measure=${measure} short />
    </p>
  </div>`;
}

// The layer, and how its chosen channel, or the highest over the median of all, went through the steps.
function Names({ layer, near }) {
  const numbers = near ? numbersOf(layer).value : null;
  const measure = chosenMeasure.value;
  const chosen = place(layer);
  const single = chosen !== null && chosen >= 0;
  const line = (which) => numbers?.steps.map((each) => numbers.summary(each, measure.field)[which]);
  const values = single ? numbers?.history(chosen, measure.field) : line("highest");
  const say = (value) => (single ? told(value, measure) : format(value, measure));
  const whose = single ? `ch ${state.channel.value}` : bestOf(measure);
  const what = `${whose} ${measure.kind === "score" ? measure.label : measure.short}`;
  return html`<h2><${LayerLabel} layer=${layer} /></h2>
    <${Facts} layer=${layer} />
    <div class="trend">
      ${
        values
          ? html`<${Sparkline} values=${values} faint=${chosen === null ? line("median") : null}
              here=${() => numbers?.index.get(step.value)} />`
          : html`<span class="ghost spark"></span>`
      }
      <p title=${basis(layer)}>
        ${values ? html`${what} ${say(values[0])} → ${say(values.at(-1))}` : html`<span class="ghost">best</span>`}
      </p>
    </div>`;
}
