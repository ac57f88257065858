// @ts-check
// Layer by epoch: when does a layer become a mask? One cell for each layer and step; a click opens it.

import { labelOf, measureOf, stepName } from "../data/log.js";
import { format } from "../data/measures.js";
import { numbersOf, summariesOf } from "../data/tables.js";
import { ink } from "../draw/inks.js";
import { parts } from "../draw/scale.js";
import { spans } from "../draw/tiles.js";
import { html, useLayoutEffect, useRef, useSignal } from "../parts/ui.js";
import { Choice, useWidth } from "../parts/widgets.js";
import { dark } from "../state/host.js";
import { bestOf, fields, chosenMeasure, openAt, run, state, step, steps } from "../state/state.js";

// The names of the layers' own summaries; what follows from the channels' numbers is here already.
function summaryNames(layers) {
  const follow = new Set(
    fields.value.flatMap((field) => {
      const separation = `${field.replace(/_auroc$/, "")}_separation`;
      return [`${field}_best`, `${field}_median`, `${field}_lowest`, `${separation}_best`, `${separation}_median`];
    }),
  );
  return [...new Set(layers.flatMap((layer) => layer.summaries ?? []))].filter((name) => !follow.has(name));
}

export function Heatmap({ layers }) {
  const names = summaryNames(layers);
  const summaries = summariesOf(run.value).value;
  const tables = layers.map((layer) => numbersOf(layer).value);
  const which = names.includes(state.heat.value) || state.heat.value === "median" ? state.heat.value : "highest";
  const ofLayers = names.includes(which);
  const measure = ofLayers ? measureOf(which) : chosenMeasure.value;
  const value = (row, each) => {
    if (!ofLayers) return tables[row]?.summary(each, measure.field)[which] ?? NaN;
    return summaries?.get(layers[row].name)?.get(each, 0, which) ?? NaN;
  };
  const grid = layers.map((_, row) => steps.value.map((each) => value(row, each)));
  const ends = endsOf(grid, measure);
  const title = `${measure.label[0].toUpperCase() + measure.label.slice(1)}, layer × ${run.value.unit}`;
  const options = [
    ["highest", `${ofLayers ? "highest" : bestOf(measure)} channel`],
    ["median", "median channel"],
    ...names.map((name) => [name, measureOf(name).label]),
  ];
  return html`<section class="card heat" data-whole>
    <h2>${measure.field === "mask_auroc" ? "When does a layer become a mask?" : title}</h2>
    <div class="tools">
      ${!ofLayers && html`<span class="second">${measure.label},</span>`}
      <${Choice} hideLabel label="of each layer" value=${which} options=${options}
        onPick=${(picked) => (state.heat.value = picked === "highest" ? null : picked)} />
      ${ends.low < ends.high && html`<${Shades} ends=${ends} measure=${measure} />`}
    </div>
    ${
      tables.some((table) => !table)
        ? html`<p class="ghost" style="height: 230px; width: 100%">loading</p>`
        : html`<${Cells} layers=${layers} grid=${grid} ends=${ends} measure=${measure} />`
    }
  </section>`;
}

/**
 * What the colours go from and to. Where there is a level of chance they part there: under it is another colour than
 * over it, and each side goes to its own end.
 *
 * @param {number[][]} grid
 * @param {import("../data/types.js").Measure} measure
 */
function endsOf(grid, { kind, chance, sided }) {
  const finite = grid.flat().filter(Number.isFinite);
  const middle = chance ?? null;
  const low = finite.reduce((least, value) => Math.min(least, value), middle ?? Infinity);
  const high = finite.reduce((most, value) => Math.max(most, value), middle ?? -Infinity);
  if (sided) return { low: middle ?? low, middle, high: 1 }; // the better of two sides is never under chance
  if (kind === "score") return { low: middle === null ? low : 0, middle, high: 1 };
  return { low, middle, high };
}

function Shades({ ends, measure }) {
  const { low, middle, high } = ends;
  const told = (value) => format(value, measure);
  if (middle === null || middle <= low) {
    return html`<span class="colour-bar">
      <span>${told(low)}</span><i class="shades"></i><span>${told(high)}</span>
    </span>`;
  }
  return html`<span class="colour-bar" title="blue is above chance, orange is below">
    <span>${told(low)}</span><i class="shades under"></i><span>chance ${told(middle)}</span>
    <i class="shades"></i><span>${told(high)}</span>
  </span>`;
}

const between = (value, low, high) => Math.min(Math.max(value, low), high);

const WIDEST = 2048; // pixels of the canvas: where there are more steps, each shows the mean of some

function paint(canvas, grid, { low, middle, high }) {
  const [zero, top, bottom, none] = ["--heat-low", "--heat-high", "--heat-under", "--paper"].map((name) =>
    parts(ink(name)),
  );
  const steps = grid[0].length;
  canvas.width = Math.min(steps, WIDEST);
  canvas.height = grid.length;
  const columns = spans(steps, canvas.width);
  const image = new ImageData(canvas.width, canvas.height);
  const start = middle ?? low;
  const colourOf = (value) => {
    if (!Number.isFinite(value)) return none;
    const [end, to] = value < start ? [low, bottom] : [high, top];
    const part = between((value - start) / (end - start || 1), 0, 1);
    return zero.map((from, place) => from + part * (to[place] - from));
  };
  grid.forEach((row, y) => {
    columns.forEach(([from, to], x) => {
      const values = row.slice(from, to).filter(Number.isFinite);
      const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
      image.data.set([...colourOf(mean), 255], 4 * (y * canvas.width + x));
    });
  });
  canvas.getContext("2d").putImageData(image, 0, 0);
}

const MOVES = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };

function Cells({ layers, grid, ends, measure }) {
  const [ref, width] = useWidth(400);
  const canvas = useRef(null);
  const cursor = useSignal(null);
  const all = steps.value;
  const high = between(Math.floor(260 / layers.length), 5, 16);
  const theme = dark.value;
  useLayoutEffect(() => paint(canvas.current, grid, ends), [theme, grid]);

  const last = { row: layers.length - 1, column: all.length - 1 };
  const find = (event) => {
    const box = canvas.current.getBoundingClientRect();
    const row = Math.floor(((event.clientY - box.top) / box.height) * layers.length);
    const column = Math.floor(((event.clientX - box.left) / box.width) * all.length);
    return { row: between(row, 0, last.row), column: between(column, 0, last.column) };
  };
  const open = ({ row, column }) => openAt("layer", layers[row], all[column]);
  const onKey = (event) => {
    const from = cursor.value ?? { row: 0, column: all.indexOf(step.peek()) };
    if (event.key === "Enter") open(from);
    if (!MOVES[event.key]) return;
    event.preventDefault();
    const [down, right] = MOVES[event.key];
    cursor.value = { row: between(from.row + down, 0, last.row), column: between(from.column + right, 0, last.column) };
  };
  const here = cursor.value;
  const part = (count, total) => `${(100 * count) / total}%`;
  const one = part(1, all.length);
  const label = `${measure.label} of ${layers.length} layers at ${all.length} steps; arrow keys move, Enter opens`;
  return html`<div ref=${ref} class="cells">
    <div class="grid" style=${{ height: `${high * layers.length}px` }}>
      <div class="rows" aria-hidden="true">
        ${numbered(layers, high).map(
          (row) => html`<span style=${{ top: `${(row + 0.5) * high}px` }}>${layers[row].number ?? row + 1}</span>`,
        )}
      </div>
      <div class="field" role="application" data-own-keys tabindex="0" aria-label=${label}
        style=${{ width: `${Math.max(width - 34, 50)}px` }} onKeyDown=${onKey}
        onPointerMove=${(event) => (cursor.value = find(event))} onPointerLeave=${() => (cursor.value = null)}
        onClick=${(event) => open(find(event))}>
        <canvas ref=${canvas}></canvas>
        <i class="now-rule" style=${{ left: part(all.indexOf(step.value), all.length), width: one }}></i>
        ${
          here &&
          html`<i class="here" style=${{
            left: part(here.column, all.length),
            top: part(here.row, layers.length),
            width: one,
            height: part(1, layers.length),
          }}></i>`
        }
      </div>
    </div>
    <div class="steps" aria-hidden="true">
      <span>${all[0]}</span><span>${run.value.unit}</span><span>${all.at(-1)}</span>
    </div>
    <p class="told" aria-live="polite">
      ${
        here
          ? html`<b>${labelOf(layers[here.row])}</b>, ${stepName(run.value, all[here.column])}:${" "}
              <b>${format(grid[here.row][here.column], measure)}</b>`
          : html`<span class="second">Click a cell to open it.</span>`
      }
    </p>
  </div>`;
}

// Rows with numbers that do not run into each other.
function numbered(layers, high) {
  const every = Math.ceil(14 / high);
  return [...layers.keys()].filter((row) => row % every === 0);
}
