// @ts-check
// One step, all layers from input to output: the way from edges to mask in one picture, and the profile of scores along
// it.

import { measureOf, stepName } from "../data/log.js";
import { format, toldBest } from "../data/measures.js";
import { numbersOf, summariesOf } from "../data/tables.js";
import { sheet, tileSize, wideness } from "../draw/geometry.js";
import { Colours } from "../parts/colours.js";
import { Curves } from "../parts/curves.js";
import { Maps, current, scored, useAhead, useShown } from "../parts/maps.js";
import { Trouble } from "../parts/findings.js";
import { Shown } from "../parts/marked.js";
import { ProbePicture } from "../parts/probe_picture.js";
import { html, useMemo } from "../parts/ui.js";
import { cellsOf, plural, sizeOf, useNear, useWidth } from "../parts/widgets.js";
import { bestOf, fields, image, chosenMeasure, openAt, run, state, step, steps } from "../state/state.js";
import { Heatmap } from "./heatmap.js";

// The next step, the one before, and the one after the next.
function close() {
  const all = steps.value;
  const place = all.indexOf(step.value);
  return [all[place + 1], all[place - 1], all[place + 2]].filter((each) => each !== undefined);
}

export function Depth() {
  const [ref, width] = useWidth();
  const layers = run.value.drawable;
  const { pictures, labels } = run.value.probe;
  useAhead(() => run.value.drawable, close, 200);
  const single = state.show.value !== "all";
  const shown = image.value;
  const count = layers.length + Number(pictures > shown) + Number(labels > shown);
  const wider = Math.min(...layers.map((layer) => wideness(layer, 3)));
  const cell = single ? share(width, count, 96 * wider, 8) : share(width, count, 220, 16);
  const high = Math.max(...layers.map((layer) => tileSize(layer, cell).height));
  const size = { "--width": `${cell}px`, "--height": `${single ? high : Math.round(cell / 2)}px` };
  return html`<div class="depth">
    <div class="tools"><${Shown} /></div>
    <ol ref=${ref} class=${single ? "way" : "way sheets"} style=${size}>
      ${pictures > shown && html`<${End} kind="input" label="input" />`}
      ${layers.map((layer) => html`<${Station} key=${layer.name} layer=${layer} cell=${cell} />`)}
      ${labels > shown && html`<${End} kind="labels" label="true mask" />`}
    </ol>
    <div class="cards">
      <${Profile} layers=${layers} />
      <${Heatmap} layers=${layers} />
    </div>
  </div>`;
}

function End({ kind, label }) {
  return html`<li>
    <span class="end"><${ProbePicture} kind=${kind} image=${image.value} label=${label} /></span>
    <p class="under"><span>${label}</span></p>
  </li>`;
}

// The width of each of `count` cells that stand in rows as wide as the page, at least `least` wide.
function share(width, count, least, gap) {
  const columns = Math.max(1, Math.min(count, Math.floor((width + gap) / (least + gap))));
  return Math.min(Math.floor((width + gap) / columns) - gap, 1.6 * least);
}

function Station({ layer, cell }) {
  const [ref, near] = useNear();
  const [shown, onShown] = useShown(layer);
  const numbers = numbersOf(layer).value;
  const measure = chosenMeasure.value;
  const show = state.show.value;
  const places = show === "all" ? [...layer.channels.keys()] : [numbers?.summary(step.value, measure.field).best ?? 0];
  const sheets = show === "all";
  const { whole, ...size } = sheets
    ? sheet(layer, places.length, cell, cell / 2)
    : { columns: 1, gap: 0, whole: null, ...tileSize(layer, cell) };
  const now = shown ?? { step: step.value };
  const summary = numbers?.summary(now.step, measure.field);
  const value = toldBest(summary, measure);
  const channel = show === "best" && summary?.best != null ? `, channel ${layer.channels[summary.best]}` : "";
  const count = plural(layer.channels.length, "channel");
  const median = `median ${measure.label} ${format(summary?.median, measure)} of ${count}`;
  const told = { layer, when: current, label: "", onShown };
  const maps =
    show === "colour"
      ? html`<${Colours} ...${told} width=${size.width} height=${size.height} />`
      : html`<${Maps} ...${told} places=${places} ...${size} marked=${sheets ? scored : undefined} />`;
  const unseen = html`<span class="unseen">${layer.path} </span>${sizeOf(layer)}`;
  const name = sheets || layer.number == null ? layer.path : unseen;
  return html`<li ref=${ref}>
    <button class="tile" data-whole aria-current=${layer.name === state.layer.value ? "true" : undefined}
      title=${`${layer.path}${channel}, ${sizeOf(layer)}; ${median}`}
      onClick=${() => openAt("layer", layer, step.peek())}>
      <span class="frame">${near && numbers ? maps : html`<span class="hole"></span>`}</span>
      <span class="under">
        <span>
          <b class="number">${layer.number == null ? "" : `#${layer.number}`}</b> ${name}<${Trouble} layer=${layer} />
        </span>
        <span class="value">${value}</span>
      </span>
    </button>
  </li>`;
}

const withEdges = (measure) => measure.field === "mask_auroc" && fields.value.includes("edge_auroc");

// One range for the curves of all steps, in which the level of chance is seen: when they move, it is not the axis.
function axisOf(tables, measure) {
  const seen = measure.chance == null ? [] : [measure.chance];
  for (const table of tables) {
    for (const each of table.steps) {
      const { highest, median } = table.summary(each, measure.field);
      seen.push(highest, median);
      if (withEdges(measure)) seen.push(table.summary(each, "edge_auroc").median);
    }
  }
  const finite = seen.filter(Number.isFinite);
  const low = finite.reduce((least, value) => Math.min(least, value), Infinity);
  const high = finite.reduce((most, value) => Math.max(most, value), -Infinity);
  if (!(low < high)) return undefined;
  const room = 0.05 * (high - low);
  return measure.kind === "score" ? [Math.max(low - room, 0), Math.min(high + room, 1)] : [low - room, high + room];
}

// Scores by depth: now and before training, the median beside the best, because the best of many is high by chance.
function linesOf(layers, tables, measure, summaries) {
  const now = step.value;
  const first = steps.value[0];
  const best = bestOf(measure);
  const here = stepName(run.value, now);
  const start = stepName(run.value, first);
  const line = (field, which, each) => tables.map((table) => table.summary(each, field)[which]);
  const before = (label, values, ink) => (now === first ? [] : [{ label, values, ink, dash: [4, 4] }]);
  const lines = [
    {
      label: `${best} ${measure.label}, ${here}`,
      values: line(measure.field, "highest", now),
      ink: "--blue",
      width: 2,
    },
    ...before(`${best}, ${start}`, line(measure.field, "highest", first), "--blue"),
    { label: `median, ${here}`, values: line(measure.field, "median", now), ink: "--series-3" },
  ];
  if (measure.field === "mask_auroc") {
    for (const [name, ink] of /** @type {const} */ ([
      ["readout", "--series-4"],
      ["readout_control", "--series-4"],
    ])) {
      const values = layers.map((layer) => summaries?.get(layer.name)?.get(now, 0, name) ?? NaN);
      const dash = name === "readout" ? undefined : [2, 3];
      if (values.some(Number.isFinite))
        lines.push({ label: `${measureOf(name).label}, ${here}`, values, ink, dash, width: 2 });
    }
  }
  if (!withEdges(measure)) return lines;
  const edges = line("edge_auroc", "median", now);
  return [
    ...lines,
    { label: `median edge AUROC, ${here}`, values: edges, ink: "--series-2", width: 2 },
    ...before(`median edge, ${start}`, line("edge_auroc", "median", first), "--series-2"),
  ];
}

function Profile({ layers }) {
  const measure = chosenMeasure.value;
  const tables = layers.map((layer) => numbersOf(layer).value);
  const summaries = summariesOf(run.value).value;
  const loaded = tables.every(Boolean);
  const range = useMemo(() => (loaded ? axisOf(tables, measure) : undefined), [measure.field, ...tables]);
  if (!loaded) {
    return html`<section class="card" data-whole>
      <h2>By depth</h2>
      <p class="ghost" style="height: 220px; width: 100%">loading</p>
    </section>`;
  }
  const numbers = layers.map((layer, index) => layer.number ?? index + 1);
  const rising = numbers.every((number, index) => index === 0 || number > numbers[index - 1]);
  const x = rising ? numbers : layers.map((_, index) => index + 1);
  const name = (value) => (layers[x.indexOf(value)] ? `#${value} ${layers[x.indexOf(value)].path}` : "");
  const counts = span(
    layers.map((layer) => layer.channels.length),
    "channel",
  );
  const cells = span(layers.map(cellsOf), "cell");
  const level = format(measure.chance, measure);
  const chance = `The dotted level is chance, ${level}: the best of many lies above it even untrained.`;
  return html`<section class="card" data-whole>
    <h2>${measure.label[0].toUpperCase() + measure.label.slice(1)} by depth</h2>
    <p class="note">
      Layers in model order; the ${bestOf(measure)} of ${counts}, over ${cells} ×${" "}
      ${plural(run.value.probe.images, "image")}. ${measure.chance == null ? "" : chance}
    </p>
    <${Curves} title="by depth" unit="layer" x=${x} hint="Point at a layer for its values; click to open it."
      lines=${linesOf(layers, tables, measure, summaries)} height=${230} level=${measure.chance ?? null}
      range=${measure.kind === "share" ? [0, 1] : range} names=${name} format=${(value) => format(value, measure)}
      onPick=${(index) => openAt("layer", layers[index], step.peek())} />
  </section>`;
}

function span(values, what) {
  const low = Math.min(...values);
  const high = Math.max(...values);
  return low === high ? plural(low, what) : `${low.toLocaleString("en")} to ${plural(high, what)}`;
}
