// @ts-check
// Numbers as a picture: a row for each of what is measured, a column for each step. A cell is pointed at for its value,
// and opened with a click, or with the keyboard.

import { stepName } from "../data/log.js";
import { format } from "../data/measures.js";
import { ink } from "../draw/inks.js";
import { parts } from "../draw/scale.js";
import { spans } from "../draw/tiles.js";
import { dark } from "../state/host.js";
import { run, step } from "../state/state.js";
import { html, useLayoutEffect, useMemo, useRef, useSignal } from "./ui.js";
import { useWidth } from "./widgets.js";

/** @typedef {{low: number, middle: number | null, high: number}} Ends of the colours, and where they part */

/**
 * What the colours go from and to. Where there is a level of chance they part there: under it is another colour than
 * over it, and each side goes to its own end.
 *
 * @param {number[][]} grid
 * @param {import("../data/types.js").Measure} measure
 */
export function endsOf(grid, { kind, chance, sided }) {
  const finite = grid.flat().filter(Number.isFinite);
  const middle = chance ?? null;
  const low = finite.reduce((least, value) => Math.min(least, value), middle ?? Infinity);
  const high = finite.reduce((most, value) => Math.max(most, value), middle ?? -Infinity);
  if (middle === 0) return { low: 0, middle, high: Math.max(high, 0.1) };
  if (sided) return { low: middle ?? low, middle, high: 1 }; // the better of two sides is never under chance
  if (kind === "score") return { low: middle === null ? low : 0, middle, high: 1 };
  return { low, middle, high };
}

export function Shades({ ends, measure }) {
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

const STRIP = 18; // pixels of the untrained network's column
const GAP = 5;

const MOVES = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };

/*
 * rows: {name, short} of each; what: what they are called together; wide: the names are written out; onOpen(row,
 * column).
 */
export function Cells({ rows, what, steps: all, grid, ends, measure, wide = false, onOpen }) {
  const [ref, width] = useWidth(400);
  const canvas = useRef(null);
  const cursor = useSignal(null);
  const high = wide ? between(Math.floor(420 / rows.length), 6, 22) : between(Math.floor(460 / rows.length), 5, 16);
  const beside = wide && width > 640 ? 200 : 34; // pixels for the layers' names
  const field = Math.max(width - beside, 50);
  // Of the untrained network there is a strip of its own.
  const strip = all[0] === 0 && all.length > 2 ? Math.min(STRIP, field / all.length) : 0;
  const apart = strip ? strip + GAP : 0;
  const each = (field - apart) / (all.length - Number(strip > 0));
  const left = (column) => (strip && !column ? 0 : apart + (column - Number(strip > 0)) * each);
  const across = (column) => (strip && !column ? strip : each);
  const box = (column) => ({ left: `${left(column)}px`, width: `${across(column)}px` });
  const holes = useMemo(() => {
    const cell = (x, y) => `M${left(x)} ${y * high}h${across(x)}v${high}h${-across(x)}z`;
    return grid.flatMap((row, y) => row.flatMap((value, x) => (Number.isFinite(value) ? [] : [cell(x, y)])));
  }, [grid, field, high]);
  const theme = dark.value;
  const untrained = useRef(null);
  useLayoutEffect(() => {
    const rest = strip ? grid.map((row) => row.slice(1)) : grid;
    paint(canvas.current, rest, ends);
    if (strip)
      paint(
        untrained.current,
        grid.map((row) => row.slice(0, 1)),
        ends,
      );
  }, [theme, grid, strip > 0]);

  const last = { row: rows.length - 1, column: all.length - 1 };
  const find = (event) => {
    const { top, left, height } = event.currentTarget.getBoundingClientRect();
    const row = Math.floor(((event.clientY - top) / height) * rows.length);
    const x = event.clientX - left;
    const column = strip && x < apart ? 0 : Math.floor((x - apart) / each) + Number(strip > 0);
    return { row: between(row, 0, last.row), column: between(column, 0, last.column) };
  };
  const open = ({ row, column }) => onOpen(row, column);
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
  const label = `${measure.label} of ${rows.length} ${what} at ${all.length} steps; arrow keys move, Enter opens`;
  return html`<div ref=${ref} class="cells">
    <div class="grid" style=${{ height: `${high * rows.length}px` }}>
      <div class="rows" aria-hidden="true">
        ${numbered(rows.length, high).map(
          (row) => html`<span style=${{ top: `${(row + 0.5) * high}px` }}>
            ${beside > 34 ? rows[row].name : rows[row].short}
          </span>`,
        )}
      </div>
      <div class="field" role="application" data-own-keys tabindex="0" aria-label=${label}
        style=${{ width: `${field}px` }} onKeyDown=${onKey}
        onPointerMove=${(event) => (cursor.value = find(event))} onPointerLeave=${() => (cursor.value = null)}
        onClick=${(event) => open(find(event))}>
        ${strip > 0 && html`<canvas ref=${untrained} class="untrained" style=${{ width: `${strip}px` }}></canvas>`}
        <canvas ref=${canvas} style=${{ left: `${apart}px`, width: `${field - apart}px` }}></canvas>
        ${holes.length > 0 && html`<i class="holes hatched" style=${{ clipPath: `path("${holes.join("")}")` }}></i>`}
        <i class="now-rule" style=${box(all.indexOf(step.value))}></i>
        ${
          here &&
          html`<i class="here" style=${{
            ...box(here.column),
            top: part(here.row, rows.length),
            height: part(1, rows.length),
          }}></i>`
        }
      </div>
    </div>
    <div class="steps" aria-hidden="true" style=${{ marginLeft: `${beside}px` }}>
      ${ticks(all.length, field).map((column) => {
        return html`<span style=${{ left: `${left(column) + across(column) / 2}px` }}>
          ${all[column] === 0 ? "untrained" : all[column]}
        </span>`;
      })}
    </div>
    <p class="axis second" aria-hidden="true" style=${{ marginLeft: `${beside}px` }}>${run.value.unit}</p>
    <p class="told" aria-live="polite">
      ${
        here
          ? html`<b>${rows[here.row].name}</b>, ${stepName(run.value, all[here.column])}:${" "}
              <b>${format(grid[here.row][here.column], measure)}</b>`
          : html`<span class="second">
              Click a cell to open it. ${holes.length > 0 && "Hatched: there is no number."}
            </span>`
      }
    </p>
  </div>`;
}

// Columns with numbers that do not run into each other, the first and the last among them.
function ticks(count, width) {
  const most = Math.max(2, Math.floor(width / 70));
  const every = Math.max(1, Math.ceil((count - 1) / most));
  const last = count - 1;
  const found = [...Array(count).keys()].filter((column) => column % every === 0 && last - column >= every);
  return [...found, last].filter((column) => column !== 1 || width / count > 60);
}

// Rows with numbers that do not run into each other.
function numbered(count, high) {
  const every = Math.ceil(14 / high);
  return [...Array(count).keys()].filter((row) => row % every === 0);
}
