// @ts-check
// Two cells side by side, any two of (run, layer, step): linked zoom, a swipe handle, the signed difference; and the
// same cell of all runs.

import { labelOf, log, reachable, stepName } from "../data/log.js";
import { format } from "../data/measures.js";
import { want } from "../data/pictures.js";
import { labelled } from "../data/probe.js";
import { numbersOf } from "../data/tables.js";
import { difference, painted } from "../draw/board.js";
import { sheet, tileSize } from "../draw/geometry.js";
import { shown } from "../draw/scale.js";
import { valueAt } from "../draw/values.js";
import { Maps, rangeOf } from "../parts/maps.js";
import { Panel, Swipe, unzoom, zoom, zoomBy } from "../parts/panel.js";
import { batch, computed, html, signal, useEffect, useSignal } from "../parts/ui.js";
import { BestOf, Choice, ColourBar, LayerSelect, Segments, Toggle, useWidth } from "../parts/widgets.js";
import { dark } from "../state/host.js";
import { bestOf, image, layer, chosenMeasure, nearest, place, placesOf, run, state, step } from "../state/state.js";

// The page's own run, layer and step are on the right; on the left is what they are compared with: at first, the
// untrained network.
const left = computed(() => {
  const side = log.value.runs.find(({ id }) => id === state.withRun.value) ?? run.value;
  const named = (/** @type {string} */ name) => side.drawable.find((each) => each.name === name);
  const same = named(state.withLayer.value ?? layer.value.name) ?? named(layer.value.name) ?? side.drawable[0];
  const when = state.withStep.value === null ? side.steps[0] : nearest(side.steps, state.withStep.value);
  return { run: side, layer: same, step: when };
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
  if (!left.value.layer || right.value.layer.problem) {
    return html`<p class="message">There is nothing to compare with here.</p>`;
  }
  return html`<div ref=${ref} class="compare">
    <${Sides} width=${width} />
    <${Runs} />
  </div>`;
}

function Sides({ width }) {
  const one = useSide(left.value, "left");
  const two = useSide(right.value, "right");
  const swipe = state.wipe.value === "swipe";
  const columns = width < 700 ? 1 : swipe ? 2 : 3;
  const side = Math.floor((width - 16 * (columns - 1)) / columns);
  const shared = state.scale.value === "both" && one.numbers && two.numbers ? both(one, two) : null;
  const first = boardOf(one, shared);
  const second = boardOf(two, shared);
  const shape = second ?? first;
  const high = shape ? Math.round((side * shape.height) / shape.width) : side;
  const window = { width: side, height: Math.min(Math.max(120, high), 520), onPoint: (cell) => (pointed.value = cell) };
  const half = { one, two, shared, first, second, window };
  return html`<${Tools} one=${one} two=${two} />
    <div class="panels" style=${{ gridTemplateColumns: `repeat(${columns}, ${side}px)` }}>
      ${swipe ? html`<${Swiped} ...${half} />` : html`<${SideBySide} ...${half} />`}
      <${Difference} ...${half} />
    </div>`;
}

function Tools({ one, two }) {
  const options = [
    ["side", "side by side"],
    ["swipe", "swipe"],
  ];
  return html`<div class="tools">
    <${Segments} label="how to compare" value=${state.wipe.value} options=${options}
      onPick=${(value) => (state.wipe.value = value)} />
    <span class="stepper zoomer" role="group" aria-label="zoom">
      <button aria-label="zoom out" onClick=${() => zoomBy(1 / 1.5)}>−</button>
      <button title="show the whole picture" onClick=${unzoom}>${Math.round(100 * zoom.value.scale)} %</button>
      <button aria-label="zoom in" onClick=${() => zoomBy(1.5)}>+</button>
    </span>
    <button onClick=${swap}>swap sides</button>
    <span class="second hint">drag to move, Ctrl + wheel or pinch to zoom</span>
    <${Readout} one=${one} two=${two} />
  </div>`;
}

function SideBySide({ one, two, shared, first, second, window }) {
  return html`<figure data-whole>
      <${LeftChoice} />
      <${Panel} board=${first} trouble=${one.trouble} ...${window} label=${`left: ${title(left.value)}`} />
      <p><${Told} side=${one} shared=${shared} /></p>
    </figure>
    <figure data-whole>
      <${RightName} />
      <${Panel} board=${second} trouble=${two.trouble} ...${window} label=${`right: ${title(right.value)}`} />
      <p><${Told} side=${two} shared=${shared} /></p>
    </figure>`;
}

function Swiped({ one, two, shared, first, second, window }) {
  return html`<figure data-whole>
    <div class="sides"><${LeftChoice} /><${RightName} short /></div>
    <${Swipe} left=${first} right=${second} trouble=${one.trouble ?? two.trouble} ...${window}
      names=${[title(left.value), title(right.value)]} />
    <p class="told-of"><${Told} side=${one} shared=${shared} /><${Told} side=${two} shared=${shared} /></p>
  </figure>`;
}

function Difference({ one, two, first, second, window }) {
  const { board, trouble, most, mean } = subtract(one, two, first, second);
  const fewer = board && board.channels.length < Math.max(first.channels.length, second.channels.length);
  const channels = fewer ? `; of the ${board.channels.length} channels that both sides logged` : "";
  const told = `mean |difference| ${format(mean)}, largest ${format(most)}, in units of the layers' output${channels}`;
  return html`<figure data-whole>
    <figcaption class="side-name" data-whole>
      <b>right − left</b>${" "}
      ${board && html`<${ColourBar} colour="diverging" low=${format(-most)} high=${format(most)} />`}
    </figcaption>
    <${Panel} board=${board} trouble=${trouble} ...${window} label="difference, right minus left" />
    <p class="second">${board && told}</p>
  </figure>`;
}

/** @param {ReturnType<typeof left["peek"]>} side */
const title = (side) => `${side.run.name}, ${side.layer.path}, ${stepName(side.run, side.step)}`;

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
        onPick=${(value) => (state.withRun.value = value)} />`
    }
    <${LayerSelect} hideLabel label="left layer" run=${side.run} value=${side.layer.name}
      onPick=${(value) => (state.withLayer.value = value)} />
    <${Choice} hideLabel label="left step" value=${side.step}
      options=${side.run.steps.map((each) => [each, stepName(side.run, each)])}
      onPick=${(value) => (state.withStep.value = Number(value))} />
  </figcaption>`;
}

// The chosen measure of a side, and, where one channel is shown, what its colours mean.
function Told({ side, shared }) {
  const { layer: shownLayer, step: shownStep, numbers } = side;
  const measure = chosenMeasure.value;
  if (!numbers) return html`<span class="ghost">0.00</span>`;
  const chosen = place(shownLayer);
  if (chosen === -1) return null;
  if (chosen === null)
    return html`<${BestOf} layer=${shownLayer} numbers=${numbers} step=${shownStep} measure=${measure} />`;
  const [low, high] = shown(state.colour.value, rangeFor(side, shared)(chosen));
  const value = format(numbers.get(shownStep, chosen, measure.field), measure);
  return html`<span class="second told-of">
    <span>${measure.label} <b>${value}</b></span>
    <${ColourBar} colour=${state.colour.value} low=${format(low)} high=${format(high)} />
  </span>`;
}

function swap() {
  const one = left.peek();
  const two = right.peek();
  batch(() => {
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
  const held = useSignal({ picture: null, layer: null, step: null, labels: null, trouble: null });
  const stored = Math.min(image.value, Math.max(wanted.run.probe.stored, 1) - 1);
  useEffect(() => {
    let gone = false;
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
  const missing = place(now.layer ?? wanted) === -1;
  return {
    ...now,
    trouble: missing ? `Channel ${state.channel.value} is not logged on the ${name}.` : now.trouble,
    labels: state.outline.value && now.layer?.planar ? now.labels : null,
    numbers: now.layer ? numbersOf(now.layer).value : null,
  };
}

function boardOf(side, shared) {
  const { picture, layer: shownLayer, numbers, labels } = side;
  if (!picture || !numbers || !placesOf(shownLayer).length) return null;
  dark.value; // repaints the marks
  const range = rangeFor(side, shared);
  return painted(side, { places: placesOf(shownLayer), colour: state.colour.value, range, labels });
}

function rangeFor({ layer: shownLayer, step: shownStep, numbers }, shared) {
  if (!shared) return rangeOf(numbers, shownStep, state.scale.value);
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
  if (!first || !second) return { trouble: one.trouble ?? two.trouble };
  const [a, b] = [first.map, second.map];
  if (a.width !== b.width || a.height !== b.height) {
    return { trouble: `No difference: the maps are ${a.width}×${a.height} and ${b.width}×${b.height}.` };
  }
  const channels = first.channels.filter((channel) => second.channels.includes(channel));
  if (!channels.length) return { trouble: "No difference: no channel is logged on both sides." };
  return difference(one, two, channels);
}

function Readout({ one, two }) {
  const cell = pointed.value;
  if (!cell) return html`<span class="readout second">point at a map for its values</span>`;
  const [a, b] = [one, two].map(({ picture, layer: shownLayer, numbers, step: shownStep }) => {
    const index = shownLayer?.channels.indexOf(cell.channel) ?? -1;
    return numbers && index >= 0
      ? valueAt(picture, shownLayer, index, cell, numbers.range("own", shownStep, index))
      : NaN;
  });
  return html`<span class="readout">
    channel ${cell.channel} at (${cell.x}, ${cell.y}): left <b>${format(a)}</b>, right <b>${format(b)}</b>,${" "}
    right − left <b>${format(b - a)}</b>
  </span>`;
}

// The same layer and step across the runs that are not hidden.
function Runs() {
  const hidden = state.hidden.value ?? [];
  const { name, path } = layer.value;
  const layers = log.value.runs.flatMap((each) => each.drawable.filter((one) => one.name === name));
  if (layers.length < 2) return null;
  const toggle = (id) => {
    const next = hidden.includes(id) ? hidden.filter((each) => each !== id) : [...hidden, id];
    state.hidden.value = next.length ? next : null;
  };
  return html`<section class="runs">
    <h2>
      ${path} in all runs${" "}
      <span class="second">at ${stepName(run.value, step.value)}, or the last step before it</span>
    </h2>
    <div class="run-choice" role="group" aria-label="runs shown">
      ${layers.map(
        (each) =>
          html`<${Toggle} label=${each.run.name} value=${!hidden.includes(each.run.id)}
            onPick=${() => toggle(each.run.id)} />`,
      )}
    </div>
    <div class="run-row">
      ${layers
        .filter((each) => !hidden.includes(each.run.id))
        .map((each) => html`<${RunCell} key=${each.run.id} layer=${each} />`)}
    </div>
  </section>`;
}

function RunCell({ layer: shownLayer }) {
  const { name, steps } = shownLayer.run;
  const when = nearest(steps, step.value);
  const measure = chosenMeasure.value;
  const places = placesOf(shownLayer);
  const numbers = numbersOf(shownLayer).value;
  const single = places.length === 1;
  if (!places.length) {
    return html`<figure data-whole style="width: 160px">
      <p class="second">channel ${state.channel.value} is not logged</p>
      <figcaption>${name}</figcaption>
    </figure>`;
  }
  const { whole, ...size } = single
    ? { columns: 1, gap: 0, whole: null, ...tileSize(shownLayer, 160) }
    : sheet(shownLayer, places.length, 290, 44);
  const value = single ? numbers?.get(when, places[0], measure.field) : numbers?.summary(when, measure.field).highest;
  const told = stepName(shownLayer.run, when);
  return html`<figure data-whole style=${{ width: `${Math.max(whole?.width ?? size.width, 160)}px` }}>
    <${Maps} layer=${shownLayer} when=${when} places=${places} ...${size} label=${`${name}, ${told}`} />
    <figcaption>
      ${name} · ${told} · ${single ? "" : `${bestOf(measure)} `}${measure.label} <b>${format(value, measure)}</b>
    </figcaption>
  </figure>`;
}
