// Layers as rows, epochs as columns: how each layer's maps change while the network learns.

import { numbersOf, stepName } from "../log.js";
import { Maps, sheet, tileSize } from "../maps.js";
import { format, measure } from "../measures.js";
import { prefetch } from "../pictures.js";
import { field, image, openAt, place, run, state, step, steps } from "../state.js";
import { Facts, LayerName, Meter, Sparkline, basis, useNear, useWidth } from "../widgets.js";
import { effect, html, useEffect, useMemo, useRef, useSignal } from "../ui.js";

const NARROW = 640;
const SOON = 4; // rows that are asked for before it is known what is on the screen

export function Evolution() {
  const [ref, width] = useWidth();
  const count = steps.value.length;
  const plan = useMemo(() => columnsFor(width, count), [width, count]);
  const chosen = state.columns.value?.filter((each) => steps.value.includes(each)).slice(0, plan.count);
  const columns = chosen?.length ? pad(chosen, plan.count, steps.value) : geometric(steps.value, plan.count);
  const grid = {
    "--names": `${plan.names}px`,
    "--cell": `${plan.cell}px`,
    "--now": `${plan.now}px`,
    "--count": columns.length,
  };
  const pick = (at, value) => {
    const next = [...columns];
    next[at] = Number(value);
    state.columns.value = next;
  };
  useAhead();

  return html`<div ref=${ref} class=${plan.narrow ? "evolution narrow" : "evolution"} style=${grid}>
    <div class="columns">
      <span class="corner">${plan.narrow ? null : "layer"}${state.columns.value && html` <button class="link" onClick=${() => (state.columns.value = null)}>automatic columns</button>`}</span>
      ${columns.map(
        (each, at) => html`<label class="column-head" title="Choose which step this column shows">
        <span class="unseen">column ${at + 1} shows</span>
        <select value=${each} onChange=${(event) => pick(at, event.currentTarget.value)}>
          ${steps.value.map((one) => html`<option value=${one} selected=${one === each}>${stepName(run.value.layers[0], one)}</option>`)}
        </select>
      </label>`,
      )}
      <${NowHead} />
    </div>
    ${run.value.layers.map((layer, at) => html`<${Row} key=${layer.layer} layer=${layer} columns=${columns} plan=${plan} guess=${at < SOON} />`)}
  </div>`;
}

// On its own, so that a step does not draw the whole table anew.
function NowHead() {
  return html`<span class="column-head now">${stepName(run.value.layers[0], step.value)}</span>`;
}

// How many columns fit and are of use, the last one, which follows the scrubber, not counted.
function columnsFor(width, steps) {
  if (width < NARROW)
    return { narrow: true, names: width, cell: Math.floor(width * 0.36), now: Math.floor(width * 0.58), count: 1 };
  const names = 214,
    gap = 14;
  const count = Math.max(1, Math.min(Math.floor((width - names) / (172 + gap)) - 1, steps - 1));
  const cell = Math.min(Math.floor((width - names) / (count + 1)) - gap, 260);
  return { narrow: false, names, cell, now: cell, count };
}

// Much happens early: steps at equal ratios, the first included, the last left to the column that follows the scrubber.
export function geometric(steps, count) {
  const last = steps.length - 1;
  if (last <= count) return steps.slice(0, Math.max(last, 1));
  const places = new Set([0]);
  for (let at = 1; at < count; at++) places.add(Math.round(last ** (at / count)));
  for (let next = 1; places.size < count; next++) places.add(next);
  return [...places].sort((a, b) => a - b).map((at) => steps[at]);
}

function pad(chosen, count, all) {
  const more = geometric(all, count).filter((each) => !chosen.includes(each));
  return [...chosen, ...more].slice(0, Math.max(count, chosen.length));
}

// What the scrubber will show next is fetched before it is asked for.
const visible = new Set();

function useAhead() {
  useEffect(
    () =>
      effect(() => {
        const all = steps.value,
          at = all.indexOf(step.value),
          shown = image.value;
        const timer = setTimeout(
          () => prefetch([...visible], [...all.slice(at + 1), ...all.slice(0, at).reverse()].slice(0, 120), shown),
          150,
        );
        return () => clearTimeout(timer);
      }),
    [],
  );
}

function Row({ layer, columns, plan, guess }) {
  const [ref, near] = useNear(guess);
  useEffect(() => {
    if (!near || layer.problem) return;
    visible.add(layer);
    return () => visible.delete(layer);
  }, [near, layer]);
  const chosen = layer.layer === state.layer.value;
  const shown = useRef(false);
  useEffect(() => {
    const later = shown.current;
    shown.current = true;
    if (!chosen) return;
    const frame = requestAnimationFrame(() => bring(ref.current, later)); // the page's width is known by then
    return () => cancelAnimationFrame(frame);
  }, [chosen]);
  if (layer.problem) {
    return html`<section ref=${ref} class="row"><h2 class="names"><${LayerName} layer=${layer} /></h2><p class="cannot">${layer.problem}</p></section>`;
  }
  const at = place(layer);
  const places = at === null ? layer.channels.map((_, index) => index) : at < 0 ? [] : [at];
  const small = fit(layer, places, plan.cell),
    large = fit(layer, places, plan.now);
  const height = Math.max(large.whole.height, plan.narrow ? 0 : 84) + 30;
  return html`<section ref=${ref} class="row" aria-label=${`layer ${layer.path}`} aria-current=${chosen ? "true" : undefined}>
    <div class="names"><${Names} layer=${layer} place=${at} near=${near} /></div>
    ${columns.map(
      (each) => html`<div class="cell" key=${each} style=${{ height: `${height}px` }}>
      ${near && html`<${Cell} layer=${layer} at=${each} places=${places} size=${small} />`}
    </div>`,
    )}
    <div class="cell now" style=${{ height: `${height}px` }}>
      ${near && html`<${Cell} layer=${layer} at=${current} places=${places} size=${large} />`}
    </div>
  </section>`;
}

// Rows grow a little when their numbers come: with the page's opening, the chosen one is brought to the middle.
function bring(row, later) {
  const page = document.getElementById("view").getBoundingClientRect(),
    { top, bottom } = row.getBoundingClientRect();
  if (later || top < page.top || bottom > page.bottom) row.scrollIntoView({ block: later ? "nearest" : "center" });
}

const current = () => step.value;

function fit(layer, places, width) {
  if (places.length !== 1)
    return places.length ? sheet(layer, places, width, width / 2) : { whole: { width, height: 40 } };
  const size = tileSize(layer, Math.min(width, 150));
  return { columns: 1, gap: 0, ...size, whole: size };
}

function Cell({ layer, at, places, size }) {
  const shown = useSignal(typeof at === "function" ? null : at);
  if (!places.length) return html`<p class="cannot">channel ${state.channel.value} is not logged</p>`;
  const label = () => `${layer.path}, ${stepName(layer, shown.value)}`;
  return html`<button class="cell-button" aria-label=${`open ${label()}`} onClick=${() => openAt("layer", layer, shown.peek() ?? step.peek())}>
      <${Maps} layer=${layer} at=${at} places=${places} ...${size} label=${label()} onShown=${({ step }) => (shown.value = step)} />
    </button>
    <${Caption} layer=${layer} at=${shown.value} places=${places} />`;
}

function Caption({ layer, at, places }) {
  const numbers = numbersOf(layer).value,
    of = measure(field.value ?? "std");
  if (!numbers || at === null) return html`<p class="caption"><span class="ghost">0.00</span></p>`;
  if (places.length === 1) {
    const value = numbers.get(at, places[0], of.field);
    return html`<p class="caption"><${Meter} value=${value} of=${of} /> ${of.short} <span class="value">${format(value, of)}</span></p>`;
  }
  const { highest, median } = numbers.summary(at, of.field);
  return html`<p class="caption" title=${`${of.label}: highest ${format(highest, of)}, median ${format(median, of)}; ${basis(layer)}`}>
    <${Meter} value=${highest} of=${of} /> <span class="value">${format(highest, of)}</span> <span class="second">median ${format(median, of)}</span>
  </p>`;
}

function Names({ layer, place: at, near }) {
  const numbers = near ? numbersOf(layer).value : null,
    of = measure(field.value ?? "std");
  const values =
    numbers &&
    (at === null || at < 0
      ? numbers.steps.map((each) => numbers.summary(each, of.field).highest)
      : numbers.history(at, of.field));
  const median = numbers && at === null ? numbers.steps.map((each) => numbers.summary(each, of.field).median) : null;
  const what = at === null || at < 0 ? (of.score ? "best " : "highest ") : `ch ${state.channel.value} `;
  return html`<h2><${LayerName} layer=${layer} /></h2>
    <${Facts} layer=${layer} />
    <div class="trend">
      ${values ? html`<${Sparkline} values=${values} faint=${median} at=${() => numbers.index.get(step.value)} />` : html`<span class="ghost spark"></span>`}
      <p title=${basis(layer)}>${values ? html`${what}${of.score ? of.label : of.short} ${format(values[0], of)} → ${format(values.at(-1), of)}` : html`<span class="ghost">best</span>`}</p>
    </div>`;
}
