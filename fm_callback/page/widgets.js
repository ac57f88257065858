// Small things that several views use.

import { byPointer } from "./keys.js";
import { html, useEffect, useRef, useState } from "./ui.js";

// quiet: the value says what is chosen; the label is seen where there is room for it. hideLabel: it is never seen.
export function Choice({ label, value, options, onPick, quiet = false, hideLabel = false, title }) {
  const pick = ({ currentTarget }) => {
    onPick(currentTarget.value);
    if (byPointer()) currentTarget.blur();
  };
  return html`<label class=${quiet ? "choice quiet" : "choice"} title=${title ?? label}>
    <span class=${hideLabel ? "unseen" : "label"}>${label}</span>
    <select value=${value} onChange=${pick}>
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

// "#12 name", the number in the accent colour. A long path breaks where its parts meet, and never behind the number.
export function LayerName({ layer }) {
  const path = layer.path ?? layer.layer,
    parts = path.split(/(?<=[/_.])/);
  return html`<span class="layer-name">${layer.number != null && html`<b class="number">#${layer.number}</b>\u00a0`}<b title=${path}>${parts.map((part) => html`${part}<wbr />`)}</b></span>`;
}

export function Facts({ layer }) {
  const kernel = layer.kernel ? `${layer.kernel.join("×")} ` : "",
    activation = layer.activation ? ` ${layer.activation}` : "";
  const size = layer.shape.slice(0, -1).join("×") || "1",
    slice = layer.slice == null ? "" : `, slice ${layer.slice}`;
  return html`<p class="facts"><span>${kernel}${layer.kind}${activation}</span><span>${size}${slice}</span><span>${layer.channels.length} of ${layer.shape.at(-1)} channels</span></p>`;
}

const { format: grouped } = new Intl.NumberFormat("en");

// How much stands behind a number: it is said wherever a best one is.
export function basis(layer, channels = layer.channels.length) {
  const cells = layer.shape.slice(0, -1).reduce((product, side) => product * side, 1);
  const plural = (count, word) => `${grouped(count)} ${word}${count === 1 ? "" : "s"}`;
  const concepts = Object.entries(layer.cells ?? {}).map(([name, count]) => `${grouped(count)} ${name}`);
  return `${plural(channels, "channel")}, ${plural(cells, "cell")} × ${plural(layer.probe_images, "image")}${concepts.length ? ` (${concepts.join(", ")})` : ""}`;
}

// A short line of values over steps with a dot where we are: at() gives the index.
export function Sparkline({ values, faint, at, width = 132, height = 26 }) {
  const usable = [...values, ...(faint ?? [])].filter(Number.isFinite);
  if (usable.length < 2) return html`<svg class="sparkline" width=${width} height=${height} aria-hidden="true"></svg>`;
  const low = Math.min(...usable),
    high = Math.max(...usable);
  const x = (index) => 3 + (index / Math.max(values.length - 1, 1)) * (width - 6);
  const y = (value) => height - 4 - ((value - low) / (high - low || 1)) * (height - 8);
  const path = (line) =>
    line.reduce(
      (text, value, index) =>
        Number.isFinite(value) ? `${text}${text ? "L" : "M"}${x(index).toFixed(1)} ${y(value).toFixed(1)}` : text,
      "",
    );
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

// Whether an element is on the screen or close to it; `guess` holds until that is known.
export function useNear(guess = false, margin = "400px") {
  const ref = useRef(null);
  const [near, setNear] = useState(guess);
  useEffect(() => {
    const observer = new IntersectionObserver((entries) => setNear(entries.at(-1).isIntersecting), {
      rootMargin: margin,
    });
    observer.observe(ref.current);
    return () => observer.disconnect();
  }, []);
  return [ref, near];
}
