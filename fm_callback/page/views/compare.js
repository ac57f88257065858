// @ts-check
// Two cells side by side, any two of (run, layer, step): linked zoom, a swipe handle, the signed difference.

import { labelOf, log, reachable, stepName } from "../data/log.js";
import { format, told } from "../data/measures.js";
import { ALIKE, counterpart } from "../data/pairs.js";
import { want } from "../data/pictures.js";
import { labelled } from "../data/probe.js";
import { numbersOf } from "../data/tables.js";
import { difference, painted, paintedDifference } from "../draw/board.js";
import { isWide, tileSize, wideness } from "../draw/geometry.js";
import { shown } from "../draw/scale.js";
import { valueAt } from "../draw/values.js";
import { Colours, useShare } from "../parts/colours.js";
import { rangeOf, ratio } from "../parts/maps.js";
import { Likeness, Markable } from "../parts/marked.js";
import { Predicted } from "../parts/predicted.js";
import { Panel, Swipe, unzoom, zoom, zoomBy } from "../parts/panel.js";
import { batch, computed, html, signal, useEffect, useMemo, useSignal } from "../parts/ui.js";
import { BestOf, Choice, ColourBar, LayerSelect, Segments, cellText, plural, useWidth } from "../parts/widgets.js";
import { dark } from "../state/host.js";
import {
  image,
  layer,
  chosenMeasure,
  markedPlace,
  nearest,
  place,
  placesOf,
  run,
  state,
  step,
} from "../state/state.js";
import { Runs } from "./runs.js";

// The page's own run, layer and step are on the right; on the left is what they are compared with: at first, the
// untrained network. A run may have no layer like the one on the right.
const left = computed(() => {
  const side = log.value.runs.find(({ id }) => id === state.withRun.value) ?? run.value;
  const chosen = side.drawable.find(({ name }) => name === state.withLayer.value);
  const when =
    state.withStep.value === null && side.id === run.value.id
      ? side.steps[0]
      : nearest(side.steps, state.withStep.value ?? step.value); // another run at the same step
  return { run: side, layer: chosen ?? counterpart(layer.value, side), step: when };
});

const right = computed(() => ({ run: run.value, layer: layer.value, step: step.value }));

// What the pointer is on: {channel, x, y} of the maps
const pointed = signal(/** @type {{channel: number, x: number, y: number} | null} */ (null));

export function Compare() {
  const [ref, width] = useWidth();
  useEffect(
    () => () => {
      pointed.value = null;
    },
    [],
  );
  if (right.value.layer.problem) return html`<p class="message">There is nothing to compare with here.</p>`;
  return html`<div ref=${ref} class="compare">
    <${Sides} width=${width} />
    <${Runs} />
  </div>`;
}

// How much larger than at first the boards are drawn, in powers of two.
const enlarged = computed(() => 2 ** Math.ceil(Math.log2(zoom.value.scale)));

const EIGHT = 8; // channels that changed most

function Sides({ width }) {
  const one = useSide(left.value, "left");
  const two = useSide(right.value, "right");
  const most = state.sides.value === "most";
  const asked = [one.picture, two.picture, one.numbers, two.numbers, most];
  const ranking = useMemo(() => (most ? ranked(one, two) : null), asked);
  if (state.sides.value === "colour") return html`<${Coloured} width=${width} />`;
  const swipe = state.wipe.value === "swipe";
  const wide = isWide(right.value.layer);
  const columns = width < 700 || wide ? 1 : swipe ? 2 : 3;
  const side = Math.floor((width - 16 * (columns - 1)) / columns);
  const look = { aspect: wide && width >= 700 ? 5 : 1.3, detail: side * ratio.value * enlarged.value };
  const shared = state.scale.value === "both" && one.numbers && two.numbers ? both(one, two) : null;
  const first = boardOf(one, shared, look, ranking);
  const second = boardOf(two, shared, look, ranking);
  const shape = second ?? first;
  const high = shape ? Math.round((side * shape.height) / shape.width) : side;
  const least = wide ? 60 : 120;
  const window = {
    width: side,
    height: Math.min(Math.max(least, high), 520),
    pointed,
  };
  const half = { one, two, shared, first, second, look, window };
  const cells = second && Math.round(second.map.width / second.tile.width);
  return html`<${Tools} one=${one} two=${two} cells=${cells} />
    <${Pairing} />
    ${ranking && html`<${Ranking} ranking=${ranking} />`}
    <div class="panels" style=${{ gridTemplateColumns: `repeat(${columns}, ${side}px)` }}>
      ${swipe ? html`<${Swiped} ...${half} />` : html`<${SideBySide} ...${half} />`}
      <${Difference} ...${half} />
    </div>`;
}

/**
 * The channels that both sides logged by how much they differ on the picture in view: mean |difference| in standard
 * deviations of the two sides together.
 */
function ranked(one, two) {
  if (!one.picture || !two.picture || !one.numbers || !two.numbers || one.layer.map.join() !== two.layer.map.join()) {
    return null;
  }
  const channels = one.layer.channels.filter((channel) => two.layer.channels.includes(channel));
  if (!channels.length) return null;
  const { means } = difference(one, two, channels);
  const std = ({ numbers, step: when, layer: each }, channel) =>
    numbers.get(when, each.channels.indexOf(channel), "std");
  const found = channels.map((channel, index) => {
    const spread = Math.sqrt((std(one, channel) ** 2 + std(two, channel) ** 2) / 2);
    return { channel, change: spread > 0 ? means[index] / spread : means[index] > 0 ? Infinity : 0 };
  });
  const value = ({ change }) => (Number.isNaN(change) ? -1 : change);
  return found.sort((a, b) => value(b) - value(a)).slice(0, EIGHT);
}

function Ranking({ ranking }) {
  if (!ranking.some(({ change }) => change > 0)) return html`<p class="second">No channel differs.</p>`;
  const title = "mean |right − left| over the picture in view, in standard deviations of both sides";
  const alone = (channel) => () => batch(() => ((state.channel.value = channel), (state.sides.value = "all")));
  return html`<p class="second" title=${title}>
    Changed most first, in standard deviations:${" "}
    ${ranking.map(
      ({ channel, change }, index) =>
        html`${index > 0 && ", "}<button class="link" title="this channel alone"
          onClick=${alone(channel)}>channel ${channel}</button>
          ${" "}${format(change)}`,
    )}
  </p>`;
}

const APART =
  ". Different networks share colours only in one basis, as here; and even so channel 7 of one has no reason to be " +
  "channel 7 of the other, unless both began alike.";
const ALL_STEPS = ", which hold for all of its steps.";
const UNLIKE = "These layers did not log the same channels: they have no colours in common.";

// Both sides in colours, in those of the left one's layer.
function Coloured({ width }) {
  const [one, two] = [left.value, right.value];
  const alike = one.layer && one.layer.channels.join() === two.layer.channels.join();
  const columns = width < 700 ? 1 : 2;
  const side = Math.floor((width - 16 * (columns - 1)) / columns);
  const sizeOf = (layer) => tileSize(layer, Math.min(side, 620 * wideness(layer, 2)));
  const apart = one.run.id !== two.run.id;
  const picture = ({ layer: shownLayer, step: when }, name) => {
    const label = `${name}: ${title(name === "left" ? one : two)}`;
    return html`<div><${Markable} label=${label}>
      <${Colours} layer=${shownLayer} of=${one.layer} when=${when} ...${sizeOf(shownLayer)} label=${label} />
    <//></div>`;
  };
  const share = useShare(one.layer ?? two.layer, Boolean(alike));
  return html`<${Tools} one=${{ layer: one.layer }} two=${{ layer: two.layer }} cells=${0} />
    <${Pairing} />
    ${
      markedPlace.value
        ? html`<div class="tools"><${Likeness} /></div>`
        : html`<p class="second">
            Both sides in the colours of the left side's layer${share && ` (${share})`}${apart ? APART : ALL_STEPS}
            ${" "}Click a place to see what else is like it.
          </p>`
    }
    <div class="panels" style=${{ gridTemplateColumns: `repeat(${columns}, ${side}px)` }}>
      <figure data-whole><${LeftChoice} />${alike && picture(one, "left")}</figure>
      <figure data-whole>
        <${RightName} />
        ${alike ? picture(two, "right") : html`<p class="cannot">${UNLIKE}</p>`}
      </figure>
    </div>`;
}

// That unlike names were taken for the same layer.
function Pairing() {
  const [one, two] = [left.value.layer, right.value.layer];
  if (!one || one.name === two.name || one.name === state.withLayer.value) return null;
  return html`<p class="second" role="status">
    ${labelOf(one)} stands for ${labelOf(two)}: it has ${ALIKE}.
  </p>`;
}

function Tools({ one, two, cells }) {
  const options = [
    ["side", "side by side"],
    ["swipe", "swipe"],
  ];
  const whats = [
    ["all", "channels"],
    ["most", "changed most"],
    ["colour", "colour"],
  ];
  const what = html`<${Segments} label="what to compare" value=${state.sides.value} options=${whats}
    onPick=${(value) => (state.sides.value = value)} />`;
  if (state.sides.value === "colour") return html`<div class="tools">${what}</div>`;
  return html`<div class="tools">
    ${what}
    <${Segments} label="how to compare" value=${state.wipe.value} options=${options}
      onPick=${(value) => (state.wipe.value = value)} />
    <span class="stepper zoomer" role="group" aria-label="zoom">
      <button aria-label="zoom out" onClick=${() => zoomBy(1 / 1.5)}>−</button>
      <button title="show the whole picture" onClick=${unzoom}>${Math.round(100 * zoom.value.scale)} %</button>
      <button aria-label="zoom in" onClick=${() => zoomBy(1.5)}>+</button>
    </span>
    <button onClick=${swap} disabled=${!left.value.layer}>swap sides</button>
    <span class="second hint">
      drag to move, Ctrl + wheel or pinch to zoom${cells > 1 && `; ${cells} cells in each column of pixels`}
    </span>
    <${Readout} one=${one} two=${two} />
  </div>`;
}

function SideBySide({ one, two, shared, first, second, window }) {
  return html`<figure data-whole>
      <${LeftChoice} />
      <${Panel} board=${first} trouble=${one.trouble} ...${window} label=${`left: ${title(left.value)}`} />
      <div><p><${Told} side=${one} shared=${shared} /></p><${PredictedOf} ...${left.value} /></div>
    </figure>
    <figure data-whole>
      <${RightName} />
      <${Panel} board=${second} trouble=${two.trouble} ...${window} label=${`right: ${title(right.value)}`} />
      <div><p><${Told} side=${two} shared=${shared} /></p><${PredictedOf} ...${right.value} /></div>
    </figure>`;
}

// What each side's model predicts of the image in view.
function PredictedOf({ run: side, step: when }) {
  if (side.prediction?.kind !== "labels" || image.value >= side.probe.stored) return null;
  return html`<div class="predicted-of">
    <${Predicted} run=${side} step=${when} image=${image.value} label=${`prediction, ${stepName(side, when)}`} />
    <span class="second">prediction of image ${image.value + 1}</span>
  </div>`;
}

function Swiped({ one, two, shared, first, second, window }) {
  return html`<figure data-whole>
    <div class="sides"><${LeftChoice} /><${RightName} short /></div>
    <${Swipe} left=${first} right=${second} trouble=${one.trouble ?? two.trouble} ...${window}
      names=${[title(left.value), title(right.value)]} />
    <p class="told-of"><${Told} side=${one} shared=${shared} /><${Told} side=${two} shared=${shared} /></p>
  </figure>`;
}

function Difference({ one, two, first, second, look, window }) {
  const all = [one, two].flatMap((side) => [side.picture, side.numbers, side.trouble]);
  const asked = [...all, first?.channels.join(), second?.channels.join()];
  const { found, trouble } = useMemo(() => subtract(one, two, first, second), asked);
  const board = found && paintedDifference(found, look);
  const told = found && toldOf(found, Math.max(first.channels.length, second.channels.length));
  return html`<figure data-whole>
    <figcaption class="side-name" data-whole>
      <b>right − left</b>${" "}
      ${
        found &&
        found.span > 0 &&
        html`<${ColourBar} colour="diverging" low=${format(-found.span)} high=${format(found.span)} />`
      }
    </figcaption>
    <${Panel} board=${board} trouble=${trouble} ...${window} label="difference, right minus left" />
    <p class="second">${told}</p>
  </figure>`;
}

function toldOf({ mean, most, missing, layer: { channels } }, count) {
  if (Number.isNaN(most)) return "No difference can be told: no channel is finite on both sides.";
  const lack = missing.filter(Boolean).length;
  const fewer =
    (channels.length < count ? `; of the ${plural(channels.length, "channel")} that both sides logged` : "") +
    (lack ? `; ${plural(lack, "channel")} in gray, not finite on a side` : "");
  if (most === 0) return `mean |difference| 0, both sides are the same${fewer}`;
  return `mean |difference| ${format(mean)}, largest ${format(most)}, in units of the layers' output${fewer}`;
}

/** @param {ReturnType<typeof left["peek"]>} side */
const title = (side) => `${side.run.name}, ${side.layer?.path ?? "no layer"}, ${stepName(side.run, side.step)}`;

function RightName({ short = false }) {
  const side = right.value;
  const name = html`${log.value.runs.length > 1 && html`<span>${side.run.name}</span>`}${" "}
    <span class="layer-name">${labelOf(side.layer)}</span>`;
  return html`<figcaption class="side-name" data-whole>
    <b title=${title(side)}>right</b> ${!short && name} <span class="here">${stepName(side.run, side.step)}</span>
  </figcaption>`;
}

function LeftChoice() {
  const side = left.value;
  const { runs } = log.value;
  return html`<figcaption class="side-name" data-whole>
    <b>left</b>
    ${
      runs.length > 1 &&
      html`<${Choice} hideLabel label="left run" value=${side.run.id} options=${runs.map(({ id, name }) => [id, name])}
        onPick=${pickRun} />`
    }
    <${LayerSelect} hideLabel label="left layer" run=${side.run} value=${side.layer?.name ?? null}
      onPick=${(value) => (state.withLayer.value = value)} />
    <${Choice} hideLabel label="left step" value=${side.step}
      options=${side.run.steps.map((each) => [each, stepName(side.run, each)])}
      onPick=${(value) => (state.withStep.value = Number(value))} />
  </figcaption>`;
}

// A layer that was chosen on the left is looked for in the other run.
function pickRun(id) {
  const next = /** @type {import("../data/types.js").Run} */ (log.value.runs.find((each) => each.id === id));
  const { layer: before } = left.peek();
  batch(() => {
    state.withRun.value = id;
    if (state.withLayer.value !== null) state.withLayer.value = (before && counterpart(before, next)?.name) ?? null;
  });
}

// The chosen measure of a side, and, where one channel is shown, what its colours mean.
function Told({ side, shared }) {
  const { layer: shownLayer, step: shownStep, numbers } = side;
  const measure = chosenMeasure.value;
  if (!numbers) return side.trouble ? null : html`<span class="ghost">0.00</span>`;
  const chosen = place(shownLayer);
  if (chosen === -1) return null;
  if (chosen === null)
    return html`<${BestOf} layer=${shownLayer} numbers=${numbers} step=${shownStep} measure=${measure} />`;
  const [low, high] = shown(state.colour.value, rangeFor(side, shared)(chosen, side.picture));
  const value = told(numbers.get(shownStep, chosen, measure.field), measure);
  return html`<span class="second told-of">
    <span>${measure.label} <b>${value}</b></span>
    <${ColourBar} colour=${state.colour.value} low=${format(low)} high=${format(high)} />
  </span>`;
}

function swap() {
  const one = left.peek();
  const two = right.peek();
  batch(() => {
    if (!one.layer) return;
    state.withRun.value = two.run.id;
    state.withLayer.value = two.layer.name;
    state.withStep.value = two.step;
    state.run.value = one.run.id;
    state.layer.value = one.layer.name;
    state.step.value = one.step;
  });
}

// The decoded picture and the numbers of one side; the last picture stays until the next is there.
function useSide({ layer: wanted, step: when }, name) {
  const nothing = { picture: null, layer: null, step: null, labels: null, trouble: null };
  const held = useSignal(nothing);
  const stored = Math.min(image.value, Math.max(wanted?.run.probe.stored ?? 1, 1) - 1);
  useEffect(() => {
    let gone = false;
    if (!wanted) {
      held.value = { ...nothing, trouble: `This run has no layer like ${labelOf(right.peek().layer)}. Choose one.` };
      return;
    }
    const withdraw = want(wanted, when, stored, async (found) => {
      const labels = await labelled(wanted.run, stored);
      if (gone) return;
      held.value =
        found instanceof Error
          ? { ...held.peek(), trouble: found.message }
          : { picture: found, layer: wanted, step: when, labels, trouble: null };
    });
    return () => {
      gone = true;
      withdraw();
    };
  }, [wanted, when, stored, reachable.value]);
  const now = held.value;
  const missing = (now.layer ?? wanted) && place(now.layer ?? wanted) === -1;
  return {
    ...now,
    trouble: missing ? `Channel ${state.channel.value} is not logged on the ${name}.` : now.trouble,
    labels: state.outline.value && now.layer?.planar ? now.labels : null,
    numbers: now.layer ? numbersOf(now.layer).value : null,
  };
}

function boardOf(side, shared, look, ranking) {
  const { picture, layer: shownLayer, numbers, labels } = side;
  if (!picture || !numbers) return null;
  const places = ranking ? ranking.map(({ channel }) => shownLayer.channels.indexOf(channel)) : placesOf(shownLayer);
  if (!places.length) return null;
  dark.value; // repaints the marks
  const range = rangeFor(side, shared);
  return painted(side, { places, colour: state.colour.value, range, labels, clipped: state.clipped.value }, look);
}

function rangeFor({ layer: shownLayer, step: shownStep, numbers }, shared) {
  if (!shared) return rangeOf(numbers, shownLayer, shownStep, state.scale.value);
  return (index) => shared(shownLayer.channels[index]);
}

// One range for a channel of both sides, each at its own place; its own where only one side logged it.
function both(...sides) {
  return (channel) => {
    const logged = sides.filter((side) => side.layer.channels.includes(channel));
    const ranges = logged.map((side) => side.numbers.range("own", side.step, side.layer.channels.indexOf(channel)));
    const [lows, highs] = [0, 1].map((end) => ranges.map((range) => range[end]).filter(Number.isFinite));
    return [Math.min(...lows), Math.max(...highs)];
  };
}

function subtract(one, two, first, second) {
  if (!first || !second) return { found: null, trouble: one.trouble ?? two.trouble };
  const [a, b] = [first.map, second.map];
  if (a.width !== b.width || a.height !== b.height) {
    return { found: null, trouble: `No difference: the maps are ${a.width}×${a.height} and ${b.width}×${b.height}.` };
  }
  const channels = first.channels.filter((channel) => second.channels.includes(channel));
  if (!channels.length) return { found: null, trouble: "No difference: no channel is logged on both sides." };
  return { found: difference(one, two, channels), trouble: null };
}

function Readout({ one, two }) {
  const cell = pointed.value;
  const shows = state.channel.value === null || cell?.channel === state.channel.value;
  if (!cell || !shows)
    return html`<span class="readout second">point at a map for its values, or move there with the arrow keys</span>`;
  const [a, b] = [one, two].map(({ picture, layer: shownLayer, numbers, step: shownStep }) => {
    const index = shownLayer?.channels.indexOf(cell.channel) ?? -1;
    return numbers && index >= 0
      ? valueAt(picture, shownLayer, index, cell, numbers.range("own", shownStep, index))
      : NaN;
  });
  return html`<span class="readout" aria-live="polite">
    channel ${cell.channel} at ${cellText(right.value.layer, cell)}: left <b>${format(a)}</b>,${" "}
    right <b>${format(b)}</b>, right − left <b>${format(b - a)}</b>
  </span>`;
}
