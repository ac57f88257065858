// @ts-check
// Layers as rows, epochs as columns: how each layer's maps change while the network learns.

import { stepName } from "../data/log.js";
import { excessOf, format, told, toldExcess } from "../data/measures.js";
import { meanIou } from "../data/predictions.js";
import { geometric } from "../data/spread.js";
import { numbersOf, scoresOf } from "../data/tables.js";
import { sheet, tileSize, wideness } from "../draw/geometry.js";
import { Colours, useShare } from "../parts/colours.js";
import { InView } from "../parts/in_view.js";
import { Maps, current, scored, stepsAround, useAhead } from "../parts/maps.js";
import { Markable, Shown } from "../parts/marked.js";
import { Predicted, hasTruth } from "../parts/predicted.js";
import { html, useEffect, useMemo, useRef, useSignal, useWatch } from "../parts/ui.js";
import { Facts, LayerLabel, Meter, Sparkline, basis, useNear, useWidth } from "../parts/widgets.js";
import {
  bestAtEnd,
  bestOf,
  chosenMeasure,
  image,
  open,
  openAt,
  openBesideFirst,
  run,
  shownColumns,
  state,
  step,
  steps,
} from "../state/state.js";

const NARROW = 640;
const SOON = 4; // rows that are asked for before it is known what is on the screen

// How wide a picture is at least, and at most: more epochs are shown only where their pictures stay large.
const LEAST = { colour: 114, best: 114, all: 172 };
const MOST = 260;

// The layers on the screen: what the scrubber will show next of them is fetched before it is asked for.
const visible = new Set();

export function Evolution() {
  const [ref, width] = useWidth();
  const count = steps.value.length;
  const show = state.show.value;
  const plan = useMemo(() => planFor(width, count, show), [width, count, show]);
  const chosen = state.columns.value?.filter((each) => steps.value.includes(each)).slice(0, plan.count);
  const columns = chosen?.length ? pad(chosen, plan.count, steps.value) : geometric(steps.value, plan.count);
  const place = useColumnOfStep(columns, plan);
  useEffect(() => {
    shownColumns.value = columns;
  }, [columns.join()]);
  const grid = {
    "--names": `${plan.names}px`,
    "--columns": columns.map((_, index) => `${widthOf(plan, index === place)}px`).join(" "),
    "--gap": `${plan.gap}px`,
  };
  useAhead(() => [...visible], stepsAround);
  const whens = columns.map((each, index) => (index === place ? current : each));
  return html`<div ref=${ref} class=${plan.narrow ? "evolution narrow" : "evolution"} style=${grid}>
    <${What} />
    <div class="columns" data-head>
      <span class="corner">
        ${plan.narrow ? null : "layer"}
        ${
          state.columns.value &&
          html` <button class="link" onClick=${() => (state.columns.value = null)}>automatic columns</button>`
        }
      </span>
      ${columns.map((_, index) =>
        index === place ? html`<${NowHead} />` : html`<${ColumnHead} columns=${columns} index=${index} />`,
      )}
    </div>
    ${run.value.prediction?.kind === "labels" && html`<${Predictions} whens=${whens} plan=${plan} />`}
    ${run.value.layers.map(
      (layer, index) =>
        html`<${Row} key=${layer.name} layer=${layer} whens=${whens} plan=${plan} guess=${index < SOON} />`,
    )}
  </div>`;
}

/**
 * Which column shows the step that the page is at: the last one that is not later, so that columns stay in order.
 *
 * @param {number[]} columns
 * @param {{narrow: boolean}} plan
 */
function useColumnOfStep(columns, { narrow }) {
  const found = useSignal(-1);
  useWatch(() => {
    const now = step.value;
    found.value = narrow
      ? columns.length - 1
      : Math.max(
          columns.findLastIndex((each) => each <= now),
          0,
        );
  }, [columns.join(), narrow]);
  return found.value < 0 ? columns.length - 1 : Math.min(found.value, columns.length - 1);
}

// What a picture is, what its colours mean, and what the number below it.
function What() {
  const { label, says, sided, field } = chosenMeasure.value;
  return html`<div class="tools" data-whole>
    <${Shown} />
    <p class="second below-each">
      Below each: ${state.show.value === "best" ? "its" : `the ${bestOf(chosenMeasure.value)} channel's`}
      ${" "}${label}${says && `, ${says}`}. ${sided && " “dark”: the object is its dark side."}
      ${field === "mask_auroc" && run.value.probe.images > 1 && " +0.12: more than on other images' masks."}
      ${" "}Gray line: the median channel.
    </p>
  </div>`;
}

// What the model predicts of the image in view, above all layers.
function Predictions({ whens, plan }) {
  const scores = scoresOf(run.value).value;
  const known = hasTruth(run.value);
  const shown = image.value;
  const iou = (when) => (scores && known ? meanIou(run.value, scores, when, { image: shown }) : NaN);
  const all = (when) => (scores && known ? meanIou(run.value, scores, when, {}) : NaN);
  const [high, wide] = run.value.prediction?.size ?? [1, 1];
  const shape = (size) => {
    const width = Math.min(size, 140);
    return { width: `${width}px`, height: `${Math.min(Math.max((width * high) / wide, 12), 180)}px` };
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
        <span>${state.errors.value && known ? "where it is wrong" : "labels"} of image ${shown + 1}</span>
        ${known && html`<span>mean IoU of all ${format(all(step.value), SCORE)}</span>`}
      </p>
    </div>
    ${whens.map(
      (when, index) =>
        html`<div class=${when === current ? "cell now" : "cell"} key=${index}>
          ${cell(when === current ? step.value : when, widthOf(plan, when === current))}
        </div>`,
    )}
  </section>`;
}

const SCORE = /** @type {const} */ ({ kind: "score" });

function ColumnHead({ columns, index }) {
  const pick = (event) => {
    const picked = columns.map((each, place) => (place === index ? Number(event.currentTarget.value) : each));
    state.columns.value = [...new Set(picked)].sort((one, two) => one - two);
  };
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

// How many columns fit and are of use, and how wide they are.
function planFor(width, steps, show) {
  if (width < NARROW) {
    const cells = { cell: Math.floor(width * 0.36), now: Math.floor(width * 0.58) };
    return { narrow: true, names: width, gap: 14, count: Math.min(2, steps), ...cells };
  }
  const names = 206;
  const gap = show === "all" ? 14 : 10;
  const count = Math.max(1, Math.min(Math.floor((width - names) / (LEAST[show] + gap)), steps));
  const cell = Math.min(Math.floor((width - names) / count) - gap, MOST);
  return { narrow: false, names, gap, count, cell, now: cell };
}

const widthOf = (plan, isNow) => (isNow ? plan.now : plan.cell);

function pad(chosen, count, all) {
  const more = geometric(all, count).filter((each) => !chosen.includes(each));
  return [...chosen, ...more].slice(0, Math.max(count, chosen.length)).sort((one, two) => one - two);
}

function Row({ layer, whens, plan, guess }) {
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
  const show = state.show.value;
  const most = Math.max(...whens.map((when) => fit(layer, show, widthOf(plan, when === current)).whole.height));
  const height = { height: `${Math.max(most, plan.narrow ? 0 : 84) + (show === "colour" ? 28 : 46)}px` };
  return html`<section ref=${ref} class="row" data-whole aria-label=${`layer ${layer.path}`}
    aria-current=${chosen ? "true" : undefined}>
    <div class="names"><${Names} layer=${layer} near=${near} /></div>
    ${whens.map(
      (when, index) =>
        html`<div class=${when === current ? "cell now" : "cell"} key=${index} style=${height}>
          ${near && html`<${Cell} layer=${layer} when=${when} width=${widthOf(plan, when === current)} />`}
        </div>`,
    )}
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

function fit(layer, show, width) {
  if (show === "all") return sheet(layer, layer.channels.length, width, width / 2);
  const size = tileSize(layer, Math.min(width, 170 * wideness(layer, 2)));
  return { columns: 1, gap: 0, ...size, whole: size };
}

function Cell({ layer, when, width }) {
  const shown = useSignal(typeof when === "function" ? null : when);
  const show = state.show.value;
  const best = useBest(layer);
  const { whole, ...size } = fit(layer, show, width);
  const label = `${layer.path}, ${stepName(layer.run, shown.value)}`;
  const open = () => openAt("layer", layer, shown.peek() ?? step.peek());
  const told = { layer, when, label, onShown: ({ step }) => (shown.value = step) };
  if (show === "colour") {
    return html`<${Markable} label=${label}><${Colours} ...${told} width=${size.width} height=${size.height} /><//>
      <button class="caption opens" onClick=${open}>
        <${Caption} layer=${layer} step=${shown.value} /><span class="unseen">: open ${label}</span>
      </button>`;
  }
  const places = show === "all" ? [...layer.channels.keys()] : [best ?? 0];
  const ready = show === "all" || best !== null;
  return html`<button class="cell-button" aria-label=${`open ${label}`} onClick=${open}>
      ${
        ready
          ? html`<${Maps} ...${told} places=${places} ...${size} marked=${show === "all" ? scored : undefined} />`
          : html`<span class="ghost" style=${{ width: `${whole.width}px`, height: `${whole.height}px` }}></span>`
      }
    </button>
    <div class="caption"><${Caption} layer=${layer} step=${shown.value} place=${show === "all" ? null : best} /></div>`;
}

// The channel that is best at the newest step; null until that is known.
function useBest(layer) {
  const numbers = numbersOf(layer).value;
  return numbers && bestAtEnd(layer, numbers);
}

// place: of one channel; else of the best at the step.
function Caption({ layer, step, place = null }) {
  const numbers = numbersOf(layer).value;
  const measure = chosenMeasure.value;
  if (!numbers || step === null) return html`<p><span class="ghost">0.00</span></p>`;
  const summary = numbers.summary(step, measure.field);
  const which = place ?? summary.best;
  const value = which === null ? NaN : numbers.get(step, which, measure.field);
  const over = toldExcess(excessOf(numbers, step, which, measure));
  const channel = which === null ? "" : `channel ${layer.channels[which]}`;
  const whose = place === null ? `${bestOf(measure)}, ${channel}` : channel;
  const median = `median of all ${format(summary.median, measure)}`;
  const title = [`${measure.label}: ${told(value, measure)} (${whose}), ${median}`, over.title, basis(layer)];
  const first = html`<p title=${title.filter(Boolean).join("; ")}>
    <${Meter} value=${measure.sided ? Math.max(value, 1 - value) : value} measure=${measure} />
    ${" "}<span class="value">${told(value, measure)}</span> <span class="second">${over.text}</span>
  </p>`;
  if (state.show.value === "colour") return first;
  return html`${first}
    <p>
      ${place === null && html`<span class="second">median ${format(summary.median, measure)} </span>`}
      <${InView} layer=${layer} step=${step} place=${which} measure=${measure} short />
    </p>`;
}

// The layer, what its pictures show, and how its best channel, over the median of all, went through the steps.
function Names({ layer, near }) {
  const numbers = near ? numbersOf(layer).value : null;
  const measure = chosenMeasure.value;
  const show = state.show.value;
  const best = useBest(layer);
  const share = useShare(layer, near && show === "colour");
  const line = (which) => numbers?.steps.map((each) => numbers.summary(each, measure.field)[which]);
  const values = show === "best" && numbers ? numbers.history(best ?? 0, measure.field) : line("highest");
  const say = (value) => (show === "best" ? told(value, measure) : format(value, measure));
  const whose = show === "best" ? `ch ${layer.channels[best ?? 0]}` : bestOf(measure);
  const what = `${whose} ${measure.kind === "score" ? measure.label : measure.short}`;
  const strengths = measure.sided ? values?.map((value) => Math.max(value, 1 - value)) : values;
  return html`<h2>
      <button class="name" title="Open this layer" onClick=${() => openAt("layer", layer, step.peek())}>
        <${LayerLabel} layer=${layer} />
      </button>
    </h2>
    <${Facts} layer=${layer} />
    ${show === "colour" && html`<p class="second">${share || html`<span class="ghost">colours</span>`}</p>`}
    <div class="trend">
      ${
        values
          ? html`<${Sparkline} values=${strengths} faint=${line("median")}
              here=${() => numbers?.index.get(step.value)} />`
          : html`<span class="ghost spark"></span>`
      }
      <p title=${basis(layer)}>
        ${
          values
            ? html`${what} ${values.length > 1 && `${say(values[0])} → `}${say(values.at(-1))}`
            : html`<span class="ghost">best</span>`
        }
      </p>
    </div>
    ${
      layer.run.steps.length > 1 &&
      html`<button class="link" onClick=${() => openBesideFirst(layer)}>
        compare with the first<span class="unseen"> step of ${layer.path}</span>
      </button>`
    }`;
}
