// Small things that several views use.

import { format } from "./measures.js";
import { html, useEffect, useRef, useState } from "./ui.js";

export function Choice({ label, value, options, onPick, hideLabel = false, title }) {
  return html`<label class="choice" title=${title ?? label}>
    <span class=${hideLabel ? "unseen" : ""}>${label}</span>
    <select value=${value} onChange=${(event) => onPick(event.currentTarget.value)}>
      ${options.map(([key, text, disabled]) => html`<option value=${key} selected=${String(key) === String(value)} disabled=${disabled}>${text}</option>`)}
    </select>
  </label>`;
}

export function Segments({ label, value, options, onPick }) {
  return html`<div class="segments" role="group" aria-label=${label}>
    ${options.map(([key, text, hint]) => html`<button type="button" aria-pressed=${key === value} title=${hint} onClick=${() => onPick(key)}>${text}</button>`)}
  </div>`;
}

export function Toggle({ label, value, onPick, title }) {
  return html`<label class="toggle" title=${title}><input type="checkbox" checked=${value} onChange=${(event) => onPick(event.currentTarget.checked)} />${label}</label>`;
}

// "#12 name", the number in the accent colour.
export function LayerName({ layer }) {
  return html`<span class="layer-name">${layer.number != null && html`<b class="number">#${layer.number}</b>`} <b title=${layer.path ?? layer.layer}>${layer.path ?? layer.layer}</b></span>`;
}

export function facts(layer) {
  const kernel = layer.kernel ? `${layer.kernel.join("×")} ` : "";
  const size = layer.shape.slice(0, -1).join("×") || "1";
  const total = layer.shape.at(-1);
  const slice = layer.slice == null ? "" : `, slice ${layer.slice}`;
  return `${kernel}${layer.kind}${layer.activation ? ` ${layer.activation}` : ""}\u00a0· ${size}${slice}\u00a0· ${layer.channels.length} of ${total} channels`;
}

// How much stands behind a number: it is said wherever a best one is.
export function basis(layer) {
  const cells = layer.shape.slice(0, -1).reduce((product, side) => product * side, 1);
  const plural = (count, word) => `${count.toLocaleString("en")} ${word}${count === 1 ? "" : "s"}`;
  const concepts = Object.entries(layer.cells ?? {}).map(([name, count]) => `${count.toLocaleString("en")} ${name}`);
  return `${plural(layer.channels.length, "channel")}, ${plural(cells, "cell")} × ${plural(layer.probe_images, "image")}${concepts.length ? ` (${concepts.join(", ")})` : ""}`;
}

// A short line of values over steps with a dot where we are: at() gives the index.
export function Sparkline({ values, faint, at, width = 132, height = 26 }) {
  const usable = [...values, ...(faint ?? [])].filter(Number.isFinite);
  if (usable.length < 2) return html`<svg class="sparkline" width=${width} height=${height} aria-hidden="true"></svg>`;
  const low = Math.min(...usable), high = Math.max(...usable);
  const x = (index) => 3 + (index / Math.max(values.length - 1, 1)) * (width - 6);
  const y = (value) => height - 4 - ((value - low) / (high - low || 1)) * (height - 8);
  const path = (line) => line.reduce((text, value, index) => (Number.isFinite(value) ? `${text}${text ? "L" : "M"}${x(index).toFixed(1)} ${y(value).toFixed(1)}` : text), "");
  return html`<svg class="sparkline" width=${width} height=${height} aria-hidden="true">
    ${faint && html`<path d=${path(faint)} class="faint" />`}
    <path d=${path(values)} />
    <${Dot} at=${at} values=${values} x=${x} y=${y} />
  </svg>`;
}

function Dot({ at, values, x, y }) {
  const here = at();
  return Number.isFinite(values[here]) && html`<circle cx=${x(here)} cy=${y(values[here])} r="2.5" />`;
}

// A score as a bar from chance (or 0) to 1.
export function Meter({ value, of }) {
  const from = of.chance ?? 0;
  const part = of.score ? Math.min(Math.max((value - from) / (1 - from), 0), 1) : NaN;
  return html`<span class="meter" aria-hidden="true">${Number.isFinite(part) && html`<i style=${{ width: `${100 * part}%` }}></i>`}</span>`;
}

export function Value({ value, of }) {
  return html`<span class="value">${format(value, of)}</span>`;
}

// The width of an element in whole pixels, and its ref.
export function useWidth(fallback = 900) {
  const ref = useRef(null);
  const [width, setWidth] = useState(fallback);
  useEffect(() => {
    const observer = new ResizeObserver(([entry]) => setWidth(Math.floor(entry.contentRect.width)));
    observer.observe(ref.current);
    setWidth(Math.floor(ref.current.clientWidth));
    return () => observer.disconnect();
  }, []);
  return [ref, width];
}

// Whether an element is on the screen or close to it.
export function useNear(margin = "400px") {
  const ref = useRef(null);
  const [near, setNear] = useState(false);
  useEffect(() => {
    const observer = new IntersectionObserver((entries) => setNear(entries.at(-1).isIntersecting), { rootMargin: margin });
    observer.observe(ref.current);
    return () => observer.disconnect();
  }, []);
  return [ref, near];
}
