// Layer by epoch: when does a layer become a mask? One cell for each layer and step; a click opens it.

import { dark } from "../host.js";
import { log, numbersOf, stepName } from "../log.js";
import { format, measure } from "../measures.js";
import { json } from "../source.js";
import { fields, openAt, run, state, step, steps } from "../state.js";
import { Choice, useWidth } from "../widgets.js";
import { html, signal, useEffect, useLayoutEffect, useRef, useSignal } from "../ui.js";

// The layers' own summaries, as they are logged for TensorBoard's Scalars: {run, measures: Map(name -> Map(layer -> Map(step -> value)))}
const scalars = signal({ run: null, measures: new Map() });

function useScalars() {
  const of = run.value.run,
    stamp = log.value;
  useEffect(() => {
    json("scalars", [["run", of]]).then(
      (found) => {
        const measures = new Map();
        for (const [tag, points] of Object.entries(found)) {
          const cut = tag.indexOf("/"),
            name = tag.slice(0, cut);
          if (fields.peek().includes(name.replace(/_(best|median)$/, ""))) continue; // follows from the numbers that are here already
          if (!measures.has(name)) measures.set(name, new Map());
          measures.get(name).set(tag.slice(cut + 1), new Map(points.map(([at, value]) => [at, Number(value)])));
        }
        scalars.value = { run: of, measures };
      },
      () => {},
    );
  }, [of, stamp]);
  return scalars.value.run === of ? scalars.value.measures : new Map();
}

export function Heatmap({ layers, by: chosen }) {
  const measures = useScalars();
  const which = measures.has(state.heat.value) || state.heat.value === "median" ? state.heat.value : "highest";
  const ofLayers = measures.get(which);
  const by = ofLayers ? measure(which) : chosen;
  const tables = layers.map((layer) => numbersOf(layer).value);
  const value = (row, at) =>
    ofLayers ? (ofLayers.get(layers[row].layer)?.get(at) ?? NaN) : (tables[row]?.summary(at, by.field)[which] ?? NaN);
  const grid = layers.map((_, row) => steps.value.map((at) => value(row, at))),
    finite = grid.flat().filter(Number.isFinite);
  const ends = [by.chance ?? Math.min(...finite), by.score ? 1 : Math.max(...finite)];
  const options = [
    ["highest", `${by.score && !ofLayers ? "best" : "highest"} channel`],
    ["median", "median channel"],
    ...[...measures.keys()].map((name) => [name, measure(name).label]),
  ];
  return html`<section class="card heat">
    <h2>${by.field === "mask_auroc" ? "When does a layer become a mask?" : `${by.label[0].toUpperCase() + by.label.slice(1)}, layer × ${layers[0].step_unit}`}</h2>
    <div class="tools">${!ofLayers && html`<span class="second">${by.label},</span>`}<${Choice} hideLabel label="of each layer" value=${which} options=${options} onPick=${(picked) => (state.heat.value = picked === "highest" ? null : picked)} />${ends.every(Number.isFinite) && html`<span class="colour-bar"><span>${format(ends[0], by)}</span><i class="shades"></i><span>${format(ends[1], by)}</span></span>`}</div>
    ${tables.some((table) => !table) ? html`<p class="ghost" style="height: 230px; width: 100%">loading</p>` : html`<${Cells} layers=${layers} grid=${grid} ends=${ends} by=${by} />`}
  </section>`;
}

function Cells({ layers, grid, ends: [low, most], by }) {
  const [ref, width] = useWidth(400);
  const canvas = useRef(null),
    cursor = useSignal(null);
  const all = steps.value,
    high = Math.min(Math.max(Math.floor(260 / layers.length), 5), 16),
    across = Math.max(width - 34, 50);
  const theme = dark.value;
  useLayoutEffect(() => {
    const image = canvas.current,
      style = getComputedStyle(document.documentElement);
    const [from, to, none] = ["--heat-low", "--heat-high", "--paper"].map((ink) =>
      rgb(style.getPropertyValue(ink).trim()),
    );
    image.width = all.length;
    image.height = layers.length;
    const data = new ImageData(all.length, layers.length);
    grid.flat().forEach((one, index) => {
      const part = Math.min(Math.max((one - low) / (most - low || 1), 0), 1);
      const colour = Number.isFinite(one) ? from.map((start, at) => start + part * (to[at] - start)) : none;
      data.data.set([...colour, 255], 4 * index);
    });
    image.getContext("2d").putImageData(data, 0, 0);
  }, [theme, grid]);

  const find = (event) => {
    const box = canvas.current.getBoundingClientRect();
    const at = (part, count) => Math.min(Math.max(Math.floor(part * count), 0), count - 1);
    return {
      row: at((event.clientY - box.top) / box.height, layers.length),
      column: at((event.clientX - box.left) / box.width, all.length),
    };
  };
  const open = ({ row, column }) => openAt("layer", layers[row], all[column]);
  const onKey = (event) => {
    const by = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
    const at = cursor.value ?? { row: 0, column: all.indexOf(step.peek()) };
    if (event.key === "Enter") open(at);
    if (!by) return;
    event.preventDefault();
    cursor.value = {
      row: Math.min(Math.max(at.row + by[0], 0), layers.length - 1),
      column: Math.min(Math.max(at.column + by[1], 0), all.length - 1),
    };
  };
  const here = cursor.value,
    now = all.indexOf(step.value);
  const told = here
    ? html`<b>${layers[here.row].number == null ? "" : `#${layers[here.row].number} `}${layers[here.row].path}</b>, ${stepName(layers[0], all[here.column])}: <b>${format(grid[here.row][here.column], by)}</b>`
    : html`<span class="second">Click a cell to open it.</span>`;
  const marks = labels(layers, high);
  return html`<div ref=${ref} class="cells">
    <div class="grid" style=${{ height: `${high * layers.length}px` }}>
      <div class="rows" aria-hidden="true">${marks.map((row) => html`<span style=${{ top: `${(row + 0.5) * high}px` }}>${layers[row].number ?? row + 1}</span>`)}</div>
      <div class="field" role="application" data-own-keys tabindex="0" aria-label=${`${by.label} of ${layers.length} layers at ${all.length} steps; arrow keys move, Enter opens`} style=${{ width: `${across}px` }} onKeyDown=${onKey}
        onPointerMove=${(event) => (cursor.value = find(event))} onPointerLeave=${() => (cursor.value = null)} onClick=${(event) => open(find(event))}>
        <canvas ref=${canvas}></canvas>
        <i class="now-rule" style=${{ left: `${(100 * now) / all.length}%`, width: `${100 / all.length}%` }}></i>
        ${here && html`<i class="here" style=${{ left: `${(100 * here.column) / all.length}%`, top: `${(100 * here.row) / layers.length}%`, width: `${100 / all.length}%`, height: `${100 / layers.length}%` }}></i>`}
      </div>
    </div>
    <div class="steps" aria-hidden="true"><span>${all[0]}</span><span>${layers[0].step_unit}</span><span>${all.at(-1)}</span></div>
    <p class="told" aria-live="polite">${told}</p>
  </div>`;
}

// Row labels that do not run into each other.
function labels(layers, high) {
  const every = Math.ceil(14 / high);
  return layers.map((_, row) => row).filter((row) => row % every === 0);
}

function rgb(hex) {
  return [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
}
