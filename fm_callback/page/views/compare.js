// Two cells side by side, any two of (run, layer, step): linked zoom, a swipe handle, the signed difference; and the same cell of all runs.

import { log, numbersOf, stepName } from "../log.js";
import { Maps, rangeOf, sheet, tileSize } from "../maps.js";
import { format, measure } from "../measures.js";
import { probe, want } from "../pictures.js";
import { difference, painted } from "../board.js";
import { Panel, Swipe, zoom, zoomBy, unzoom } from "../panel.js";
import { Gradient } from "../context.js";
import { dark } from "../host.js";
import { shown } from "../scale.js";
import { field, image, layer, nearest, place, run, state, step } from "../state.js";
import { Choice, Segments, Toggle, basis, useWidth } from "../widgets.js";
import { batch, computed, html, signal, useEffect, useSignal } from "../ui.js";

// The page's own run, layer and step are on the right; on the left is what they are compared with: at first, the untrained network.
const left = computed(() => {
  const of = log.value.runs.find((each) => each.run === state.withRun.value) ?? run.value;
  const usable = of.layers.filter((each) => !each.problem);
  const same =
    usable.find((each) => each.layer === (state.withLayer.value ?? layer.value.layer)) ??
    usable.find((each) => each.layer === layer.value.layer) ??
    usable[0];
  const at =
    state.withStep.value === null ? (same?.steps[0] ?? null) : nearest(same?.steps ?? [], state.withStep.value);
  return { run: of, layer: same, step: at };
});

const right = computed(() => ({ run: run.value, layer: layer.value, step: nearest(layer.value.steps, step.value) }));

// What the pointer is on: {channel, x, y} of the maps
const pointed = signal(null);

export function Compare() {
  const [ref, width] = useWidth();
  const l = left.value,
    r = right.value;
  useEffect(() => () => (pointed.value = null), []);
  if (!l.layer || r.layer.problem) return html`<p class="message">There is nothing to compare with here.</p>`;
  const swipe = state.wipe.value === "swipe";
  const one = useSide(l, "left"),
    two = useSide(r, "right");
  const columns = width < 700 ? 1 : swipe ? 2 : 3;
  const side = Math.floor((width - 16 * (columns - 1)) / columns);
  const shared = state.scale.value === "both" && one.numbers && two.numbers ? both(one, two) : null;
  const first = board(one, shared),
    second = board(two, shared);
  const apart = subtract(one, two, first, second);
  const height = Math.min(
    Math.max(120, Math.round((side * (second?.height ?? first?.height ?? 1)) / (second?.width ?? first?.width ?? 1))),
    520,
  );
  const panel = { width: side, height, onPoint: (at) => (pointed.value = at) };
  return html`<div ref=${ref} class="compare">
    <div class="tools">
      <${Segments} label="how to compare" value=${state.wipe.value} options=${[["side", "side by side"], ["swipe", "swipe"]]} onPick=${(value) => (state.wipe.value = value)} />
      <span class="stepper zoomer" role="group" aria-label="zoom"><button aria-label="zoom out" onClick=${() => zoomBy(1 / 1.5)}>−</button><button title="show the whole picture" onClick=${unzoom}>${Math.round(100 * zoom.value.scale)} %</button><button aria-label="zoom in" onClick=${() => zoomBy(1.5)}>+</button></span>
      <button onClick=${swap}>swap sides</button>
      <span class="second hint">drag to move, Ctrl + wheel or pinch to zoom</span>
      <${Readout} one=${one} two=${two} />
    </div>
    <div class="panels" style=${{ gridTemplateColumns: `repeat(${columns}, ${side}px)` }}>
      ${
        swipe
          ? html`<figure><div class="sides"><${SideChoice} /><${RightName} short /></div><${Swipe} left=${first} right=${second} trouble=${one.trouble ?? two.trouble} ...${panel} names=${[title(l), title(r)]} /><p class="told-of"><${Told} side=${one} shared=${shared} /><${Told} side=${two} shared=${shared} /></p></figure>`
          : html`<figure><${SideChoice} /><${Panel} board=${first} trouble=${one.trouble} ...${panel} label=${`left: ${title(l)}`} /><p><${Told} side=${one} shared=${shared} /></p></figure>
          <figure><${RightName} /><${Panel} board=${second} trouble=${two.trouble} ...${panel} label=${`right: ${title(r)}`} /><p><${Told} side=${two} shared=${shared} /></p></figure>`
      }
      <figure><figcaption class="side-name"><b>right − left</b> ${apart.board && html`<span class="colour-bar"><span>${format(-apart.most)}</span><${Gradient} colour="diverging" /><span>${format(apart.most)}</span></span>`}</figcaption>
        <${Panel} board=${apart.board} trouble=${apart.trouble} ...${panel} label="difference, right minus left" />
        <p class="second">${apart.board && `mean |difference| ${format(apart.mean)}, largest ${format(apart.most)}, in units of the layers' output${apart.board.channels.length < Math.max(first.channels.length, second.channels.length) ? `; of the ${apart.board.channels.length} channels that both sides logged` : ""}`}</p>
      </figure>
    </div>
    <${Runs} />
  </div>`;
}

const title = (side) => `${side.run.name}, ${side.layer.path}, ${stepName(side.layer, side.step)}`;

function RightName({ short = false }) {
  const { run: of, layer: shown, step: at } = right.value;
  return html`<figcaption class="side-name"><b title=${title(right.value)}>right</b> ${!short && html`${log.value.runs.length > 1 && html`<span>${of.name}</span>`} <span class="layer-name">${shown.number == null ? "" : `#${shown.number} `}${shown.path}</span>`} <span class="here">${stepName(shown, at)}</span></figcaption>`;
}

function SideChoice() {
  const { run: of, layer: shown, step: at } = left.value;
  return html`<figcaption class="side-name"><b>left</b>
    ${log.value.runs.length > 1 && html`<${Choice} hideLabel label="left run" value=${of.run} options=${log.value.runs.map((each) => [each.run, each.name])} onPick=${(value) => (state.withRun.value = value)} />`}
    <${Choice} hideLabel label="left layer" value=${shown.layer} options=${of.layers.filter((each) => !each.problem).map((each) => [each.layer, `${each.number == null ? "" : `#${each.number} `}${each.path}`])} onPick=${(value) => (state.withLayer.value = value)} />
    <${Choice} hideLabel label="left step" value=${at} options=${shown.steps.map((each) => [each, stepName(shown, each)])} onPick=${(value) => (state.withStep.value = Number(value))} />
  </figcaption>`;
}

// The chosen measure of a side, and, where one channel is shown, what its colours mean.
function Told({ side, shared }) {
  const { of, step: at, numbers } = side,
    by = measure(field.value ?? "std");
  if (!numbers) return html`<span class="ghost">0.00</span>`;
  const chosen = place(of);
  if (chosen === -1) return null;
  if (chosen !== null) {
    const [low, high] = shown(state.colour.value, rangeFor(side, shared)(chosen));
    return html`<span class="second told-of"><span>${by.label} <b>${format(numbers.get(at, chosen, by.field), by)}</b></span>
      <span class="colour-bar"><span>${format(low)}</span><${Gradient} colour=${state.colour.value} /><span>${format(high)}</span></span></span>`;
  }
  const { highest, best, median } = numbers.summary(at, by.field);
  return html`<span class="second" title=${basis(of)}>${by.score ? "best" : "highest"} ${by.label} <b>${format(highest, by)}</b>${best !== null && ` (channel ${of.channels[best]})`}, median ${format(median, by)}</span>`;
}

function swap() {
  const l = left.peek(),
    r = right.peek();
  batch(() => {
    Object.assign(state.withRun, { value: r.run.run });
    state.withLayer.value = r.layer.layer;
    state.withStep.value = r.step;
    state.run.value = l.run.run;
    state.layer.value = l.layer.layer;
    state.step.value = l.step;
  });
}

// The decoded picture and the numbers of one side; the last picture stays until the next is there.
function useSide({ run: from, layer: of, step: at }, name) {
  const held = useSignal({ picture: null, of: null, step: null, image: null, mask: null, trouble: null });
  const stored = Math.min(image.value, of.stored_images - 1);
  useEffect(() => {
    let gone = false;
    const withdraw = want(of, at, stored, async (found) => {
      const mask = await probe(from, "mask", stored);
      if (!gone)
        held.value =
          found instanceof Error
            ? { ...held.peek(), trouble: found.message }
            : { picture: found, of, step: at, image: stored, mask, trouble: null };
    });
    return () => {
      gone = true;
      withdraw();
    };
  }, [from, of, at, stored]);
  const shown = held.value,
    missing = place(shown.of ?? of) === -1 ? `Channel ${state.channel.value} is not logged on the ${name}.` : null;
  return {
    ...shown,
    trouble: missing ?? shown.trouble,
    mask: state.outline.value && shown.of?.shape.length === 3 ? shown.mask : null,
    numbers: shown.of ? numbersOf(shown.of).value : null,
  };
}

// All logged channels, or the chosen one; none where that is not logged.
const places = (of) => {
  const at = place(of);
  return at === null ? of.channels.map((_, index) => index) : at < 0 ? [] : [at];
};

function board(side, shared) {
  const { picture, of, step: at, numbers, mask, image: stored } = side;
  if (!picture || !numbers || !places(of).length) return null;
  dark.value;
  return painted({
    picture,
    layer: of,
    step: at,
    numbers,
    places: places(of),
    colour: state.colour.value,
    image: stored,
    mask,
    range: rangeFor(side, shared),
  });
}

const rangeFor = ({ of, step: at, numbers }, shared) =>
  shared ? (index) => shared(of.channels[index]) : rangeOf(numbers, at, state.scale.value);

// One range for a channel of both sides, each at its own place; its own where only one side logged it.
function both(...sides) {
  return (channel) => {
    const ranges = sides
      .filter(({ of }) => of.channels.includes(channel))
      .map(({ of, step: at, numbers }) => numbers.range("own", at, of.channels.indexOf(channel)));
    const [lows, highs] = [0, 1].map((end) => ranges.map((range) => range[end]).filter(Number.isFinite));
    return [Math.min(...lows), Math.max(...highs)];
  };
}

function subtract(one, two, first, second) {
  if (!first || !second) return { trouble: one.trouble ?? two.trouble };
  if (first.map.width !== second.map.width || first.map.height !== second.map.height) {
    return {
      trouble: `No difference: the maps are ${first.map.width}×${first.map.height} and ${second.map.width}×${second.map.height}.`,
    };
  }
  const channels = first.channels.filter((channel) => second.channels.includes(channel));
  return channels.length
    ? difference(one, two, channels, first.map)
    : { trouble: "No difference: no channel is logged on both sides." };
}

function Readout({ one, two }) {
  const at = pointed.value;
  const value = ({ picture, of, numbers, step: shown }) => {
    const index = of?.channels.indexOf(at.channel);
    if (!numbers || index < 0) return NaN;
    const [low, high] = numbers.range("own", shown, index);
    const width = Math.floor(picture.width / of.columns),
      height = Math.floor(picture.height / of.rows);
    if (at.x >= width || at.y >= height) return NaN;
    return (
      low +
      (picture.pixels[
        (Math.floor(index / of.columns) * height + at.y) * picture.width + (index % of.columns) * width + at.x
      ] /
        255) *
        (high - low)
    );
  };
  if (!at) return html`<span class="readout second">point at a map for its values</span>`;
  const a = value(one),
    b = value(two);
  return html`<span class="readout">channel ${at.channel} at (${at.x}, ${at.y}): left <b>${format(a)}</b>, right <b>${format(b)}</b>, right − left <b>${format(b - a)}</b></span>`;
}

// The same layer and step across the runs that are not hidden.
function Runs() {
  const hidden = state.hidden.value ?? [],
    of = layer.value,
    by = measure(field.value ?? "std");
  const runs = log.value.runs
    .map((each) => ({ run: each, layer: each.layers.find((one) => one.layer === of.layer && !one.problem) }))
    .filter((each) => each.layer);
  if (runs.length < 2) return null;
  const toggle = (name) => {
    const next = hidden.includes(name) ? hidden.filter((each) => each !== name) : [...hidden, name];
    state.hidden.value = next.length ? next : null;
  };
  return html`<section class="runs">
    <h2>${of.path} in all runs <span class="second">at ${stepName(of, step.value)}, or the last step before it</span></h2>
    <div class="run-choice" role="group" aria-label="runs shown">${runs.map(({ run: each }) => html`<${Toggle} label=${each.name} value=${!hidden.includes(each.run)} onPick=${() => toggle(each.run)} />`)}</div>
    <div class="run-row">${runs.filter(({ run: each }) => !hidden.includes(each.run)).map(({ run: each, layer: shown }) => html`<${RunCell} key=${each.run} of=${each} shown=${shown} by=${by} />`)}</div>
  </section>`;
}

function RunCell({ of, shown, by }) {
  const at = nearest(shown.steps, step.value),
    all = places(shown),
    numbers = numbersOf(shown).value;
  if (!all.length)
    return html`<figure style="width: 160px"><p class="second">channel ${state.channel.value} is not logged</p><figcaption>${of.name}</figcaption></figure>`;
  const size = all.length === 1 ? { columns: 1, gap: 0, ...tileSize(shown, 160) } : sheet(shown, all, 290, 44);
  const value = all.length === 1 ? numbers?.get(at, all[0], by.field) : numbers?.summary(at, by.field).highest;
  return html`<figure style=${{ width: `${Math.max(size.whole?.width ?? size.width, 160)}px` }}><${Maps} layer=${shown} at=${at} places=${all} columns=${size.columns} gap=${size.gap} width=${size.width} height=${size.height} label=${`${of.name}, ${stepName(shown, at)}`} />
    <figcaption>${of.name} · ${stepName(shown, at)} · ${all.length > 1 ? (by.score ? "best " : "highest ") : ""}${by.label} <b>${format(value, by)}</b></figcaption></figure>`;
}
