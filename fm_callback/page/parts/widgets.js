// @ts-check
// Small things that several views use.

import { labelOf } from "../data/log.js";
import { excessOf, format, toldBest, toldExcess } from "../data/measures.js";
import { MAPS } from "../draw/scale.js";
import { byPointer } from "../state/pointer.js";
import { bestOf, image } from "../state/state.js";
import { Trouble } from "./findings.js";
import { html, useEffect, useRef, useState } from "./ui.js";

/** @typedef {import("../data/types.js").Layer} Layer */

// quiet: the value says what is chosen; the label is seen where there is room for it. hideLabel: it is never seen.
export function Choice({ label, value, options, onPick, quiet = false, hideLabel = false, title = label }) {
  const pick = ({ currentTarget }) => {
    onPick(currentTarget.value);
    if (byPointer()) currentTarget.blur();
  };
  return html`<label class=${quiet ? "choice quiet" : "choice"} title=${title}>
    <span class=${hideLabel ? "unseen" : "label"}>${label}</span>
    <select value=${value} onChange=${pick}>
      ${options.map(
        ([key, text]) => html`<option value=${key} selected=${String(key) === String(value)}>${text}</option>`,
      )}
    </select>
  </label>`;
}

// The layers of a run that can be drawn, to choose from.
export function LayerSelect({ run, ...choice }) {
  const none = choice.value === null ? [[null, "choose a layer"]] : [];
  const layers = run.drawable.map((layer) => [layer.name, labelOf(layer)]);
  return html`<${Choice} ...${choice} options=${[...none, ...layers]} />`;
}

export function Segments({ label, value, options, onPick }) {
  return html`<div class="segments" role="group" aria-label=${label}>
    ${options.map(
      ([key, text]) =>
        html`<button type="button" aria-pressed=${key === value} onClick=${() => onPick(key)}>${text}</button>`,
    )}
  </div>`;
}

export function Toggle({ label, value, onPick, title }) {
  const pick = (event) => onPick(event.currentTarget.checked);
  return html`<label class="toggle" title=${title}>
    <input type="checkbox" checked=${value} onChange=${pick} />${label}
  </label>`;
}

// What colours mean from end to end.
export function ColourBar({ colour, low, high, title }) {
  return html`<span class="colour-bar" title=${title}>
    <span>${low}</span><${Gradient} colour=${colour} /><span>${high}</span>
  </span>`;
}

function Gradient({ colour }) {
  const canvas = useRef(null);
  useEffect(() => {
    const image = new ImageData(256, 1);
    new Uint32Array(image.data.buffer).set(MAPS[colour]);
    canvas.current.getContext("2d").putImageData(image, 0, 0);
  }, [colour]);
  return html`<canvas ref=${canvas} class="gradient" width="256" height="1" aria-hidden="true"></canvas>`;
}

// "#12 name", the number in the accent colour. A long path breaks where its parts meet, and never behind the number.
export function LayerLabel({ layer }) {
  const parts = layer.path.split(/(?<=[/_.])/).map((part) => html`${part}<wbr />`);
  const number = layer.number != null && html`<b class="number">#${layer.number}</b>\u00a0`;
  const name = html`<b title=${layer.path}>${parts}</b>`;
  return html`<span class="layer-name">${number}${name}<${Trouble} layer=${layer} /></span>`;
}

export function Facts({ layer }) {
  const kernel = layer.kernel ? `${layer.kernel.join("×")} ` : "";
  const activation = layer.activation ? ` ${layer.activation}` : "";
  const cut = layer.slices?.[image.value] ?? layer.slice;
  const slice = sliceText(cut, layer.slice_axis);
  const others = layer.prefix ? ` tokens, ${layer.prefix} more left out` : "";
  return html`<p class="facts">
    <span>${kernel}${layer.kind}${activation}</span>
    <span>${sizeOf(layer)}${slice}${others}</span>
    <span>${layer.channels.length} of ${plural(layer.shape.at(-1), "channel")}</span>
  </p>`;
}

// Which slice is shown of what has a third axis; empty where there is none.
export const sliceText = (cut, axis) => (cut == null ? "" : `, slice ${cut}${axis == null ? "" : ` of axis ${axis}`}`);

// Where a cell lies in a map.
export const cellText = (/** @type {Layer} */ { map }, { x, y }) => (map[0] === 1 ? grouped(x) : `(${x}, ${y})`);

/**
 * How maps are reduced to the size at which they are drawn, in words; empty where they are not.
 *
 * @param {Layer} layer
 * @param {{width: number, height: number}} size in device pixels
 */
export function reduction({ map: [height, width] }, size) {
  const cells = Math.round(width / size.width);
  if (height === 1 && cells > 1) return `${grouped(cells)} cells in each column of pixels, the highest on top`;
  return height > size.height || width > size.width ? "averaged down to the pixels here" : "";
}

// The size of the layer's output, channels left out.
export const sizeOf = (/** @type {Layer} */ { shape }) => shape.slice(0, -1).join("×") || "1";

/** @param {Layer} layer */
export const cellsOf = ({ shape }) => shape.slice(0, -1).reduce((product, side) => product * side, 1);

const { format: grouped } = new Intl.NumberFormat("en");

export const plural = (count, word) => `${grouped(count)} ${word}${count === 1 ? "" : "s"}`;

const CONCEPTS = /** @type {Record<string, string>} */ ({ foreground: "the object", outline: "its outline" });

/**
 * How much stands behind a number: it is said wherever a best one is.
 *
 * @param {Layer} layer
 */
export function basis(layer, channels = layer.channels.length) {
  // Of the labels' own counts one says what another has said: the object, and what is not, are enough.
  const concepts = Object.entries(layer.cells ?? {}).flatMap(([name, count]) =>
    name.endsWith("_auroc") ? [] : [`${grouped(count)} of ${CONCEPTS[name] ?? name}`],
  );
  const all = [
    plural(channels, "channel"),
    `${plural(cellsOf(layer), "cell")} × ${plural(layer.run.probe.images, "image")}`,
  ];
  return `${all.join(", ")}${concepts.length ? ` (${concepts.join(", ")})` : ""}`;
}

// "best mask AUROC .93 (channel 5), median .61" of a layer at a step.
// What a number is called; pointed at, or with the focus, in a sentence.
export function Word({ measure: { label, says } }) {
  if (!says) return label;
  return html`<span class="word" role="note" tabindex="0" aria-label=${`${label}: ${says}`}
    data-says=${says}>${label}</span>`;
}

export function BestOf({ layer, numbers, step, measure }) {
  const summary = numbers.summary(step, measure.field);
  const { best, median } = summary;
  const over = toldExcess(excessOf(numbers, step, best, measure));
  return html`<span class="second" title=${basis(layer)}>
    ${bestOf(measure)} <${Word} measure=${measure} /> <b>${toldBest(summary, measure)}</b>${" "}
    ${over.text && html`<span title=${over.title}>${over.text}</span>`}
    ${best !== null && ` (channel ${layer.channels[best]})`}, median ${format(median, measure)}
  </span>`;
}

// The highest of a layer at each step over its median, as a short line.
export function Trend({ numbers, field, step, ...size }) {
  const line = (which) => numbers.steps.map((each) => numbers.summary(each, field)[which]);
  const here = () => numbers.index.get(step.value);
  return html`<${Sparkline} ...${size} values=${line("highest")} faint=${line("median")} here=${here} />`;
}

// A short line of values over steps with a dot where we are: here() gives the index.
export function Sparkline({ values, faint = null, here, width = 132, height = 26 }) {
  const usable = [...values, ...(faint ?? [])].filter(Number.isFinite);
  if (usable.length < 2) return html`<svg class="sparkline" width=${width} height=${height} aria-hidden="true"></svg>`;
  const low = Math.min(...usable);
  const high = Math.max(...usable);
  const x = (index) => 3 + (index / Math.max(values.length - 1, 1)) * (width - 6);
  const y = (value) => height - 4 - ((value - low) / (high - low || 1)) * (height - 8);
  const path = (line) => {
    const points = [...line.keys()].filter((index) => Number.isFinite(line[index]));
    return points
      .map((index, count) => `${count ? "L" : "M"}${x(index).toFixed(1)} ${y(line[index]).toFixed(1)}`)
      .join("");
  };
  return html`<svg class="sparkline" width=${width} height=${height} aria-hidden="true">
    ${faint && html`<path d=${path(faint)} class="faint" />`}
    <path d=${path(values)} />
    <${Dot} here=${here} values=${values} x=${x} y=${y} />
  </svg>`;
}

function Dot({ here, values, x, y }) {
  const index = here();
  return Number.isFinite(values[index]) && html`<circle cx=${x(index)} cy=${y(values[index])} r="2.5" />`;
}

// A score as a bar from chance (or 0) to 1.
export function Meter({ value, measure: { kind, chance } }) {
  const least = chance ?? 0;
  const part = kind === "score" ? Math.min(Math.max((value - least) / (1 - least), 0), 1) : NaN;
  const bar = Number.isFinite(part) && html`<i style=${{ width: `${100 * part}%` }}></i>`;
  return html`<span class="meter" aria-hidden="true">${bar}</span>`;
}

let whole = 900; // the page's width, as it was last

/**
 * The width of an element in whole pixels, and its ref.
 *
 * @param {number} [fallback] until it is known; without one the element is as wide as the page
 * @returns {[{current: any}, number]}
 */
export function useWidth(fallback) {
  const ref = useRef(null);
  const [width, setWidth] = useState(fallback ?? whole);
  useEffect(() => {
    if (fallback === undefined) whole = width;
  }, [width]);
  useEffect(() => {
    const observer = new ResizeObserver(([entry]) => setWidth(Math.floor(entry.contentRect.width)));
    observer.observe(ref.current);
    setWidth(Math.floor(ref.current.clientWidth));
    return () => observer.disconnect();
  }, []);
  return [ref, width];
}

// What comes into sight is shown a few at a time, so that no scrolling waits for a hundred pictures.
const AT_A_TIME = 8;
const waiting = /** @type {Set<() => void>} */ (new Set());

function showSome() {
  for (const show of [...waiting].slice(0, AT_A_TIME)) {
    waiting.delete(show);
    show();
  }
  if (waiting.size) requestAnimationFrame(showSome);
}

/** @param {() => void} show */
function inTurn(show) {
  if (!waiting.size) requestAnimationFrame(showSome);
  waiting.add(show);
}

/**
 * Whether an element is on the screen or close to it; `guess` holds until that is known.
 *
 * @returns {[{current: any}, boolean]}
 */
export function useNear(guess = false, margin = "400px") {
  const ref = useRef(null);
  const [near, setNear] = useState(guess);
  useEffect(() => {
    const show = () => setNear(true);
    const look = (entries) => {
      waiting.delete(show);
      if (entries.at(-1).isIntersecting) inTurn(show);
      else setNear(false);
    };
    const observer = new IntersectionObserver(look, { rootMargin: margin });
    observer.observe(ref.current);
    return () => {
      observer.disconnect();
      waiting.delete(show);
    };
  }, []);
  return [ref, near];
}
