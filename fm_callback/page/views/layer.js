// @ts-check
// One layer large: all its channels at one step, the input and its labels beside them, the value under the pointer.

import { measureOf, stepName } from "../data/log.js";
import { excessOf, format, told, toldExcess } from "../data/measures.js";
import { ready } from "../data/pictures.js";
import { numbersOf } from "../data/tables.js";
import { isWide, tileSize, wideness } from "../draw/geometry.js";
import { cellUnder, spanUnder } from "../draw/tiles.js";
import { valueAt } from "../draw/values.js";
import { useAlike } from "../parts/alike.js";
import { Cells, Shades, endsOf } from "../parts/cells.js";
import { Densities, hasDensities } from "../parts/densities.js";
import { InView } from "../parts/in_view.js";
import { Maps, current, ratio, stepsAround, useAhead, useShown } from "../parts/maps.js";
import { ProbePicture } from "../parts/probe_picture.js";
import { html, signal, useEffect } from "../parts/ui.js";
import {
  Choice,
  Facts,
  LayerLabel,
  Trend,
  basis,
  cellText,
  plural,
  reduction,
  sliceText,
  useNear,
  useWidth,
  Word,
} from "../parts/widgets.js";
import { bestOf, image, layer, chosenMeasure, open, openBesideFirst, run, state, step } from "../state/state.js";

// What is under the pointer: the channel's place, the cell of its map, and of a strip all cells of that column.
const pointed = signal(
  /** @type {{place: number, cell: {x: number, y: number, span: number[]} | null} | null} */ (null),
);

export function Layer() {
  const chosen = layer.value;
  const [ref, width] = useWidth(980);
  const [shown, onShown] = useShown(chosen);
  const now = shown ?? { step: step.value, image: image.value };
  useEffect(
    () => () => {
      pointed.value = null;
    },
    [chosen.run.id, chosen.name],
  );
  useAhead(() => [layer.value], stepsAround);
  if (chosen.problem) return html`<p class="message">${chosen.problem}</p>`;
  const alike = useAlike(chosen, now.step);
  const places = sorted(chosen, now.step, alike);
  const wider = wideness(chosen, 4);
  const fitting = Math.min(places.length, Math.floor((width + 8) / (wider * (width < 500 ? 80 : 122))));
  const across = Math.max(wider > 1.5 ? 1 : 2, fitting);
  const size = tileSize(chosen, Math.min(Math.floor((width - 8 * (across - 1)) / across), 360 * wider));
  // What runs in time is best seen under what it was made of.
  const over = isWide(chosen) && isOfSignals();
  return html`<div class="layer-view">
    <aside>
      <${About} layer=${chosen} size=${size} inputs=${!over} alike=${alike} now=${now.step} />
      <${Pointed} layer=${chosen} now=${now} />
    </aside>
    <div class="sheet">
    <div ref=${ref} class="tiles" style=${{ "--tile": `${size.width}px` }}>
      ${over && html`<div class="inputs over"><${Inputs} /></div>`}
      ${places.map(
        (place) =>
          html`<${Tile} key=${place} layer=${chosen} place=${place} size=${size} now=${now.step} onShown=${onShown}
            group=${alike?.groups.findIndex((group) => group.includes(place)) ?? -1} />`,
      )}
    </div>
    <${ByEpoch} layer=${chosen} places=${places} />
    </div>
  </div>`;
}

function sorted(layer, now, alike) {
  const places = [...layer.channels.keys()];
  const numbers = numbersOf(layer).value;
  const field = state.sort.value;
  if (field === "alike") return alike?.order ?? places;
  if (field === "channel" || !numbers?.column.has(field)) return places;
  const { sided } = measureOf(field);
  const value = (place) => {
    const found = numbers.get(now, place, field);
    return sided ? Math.max(found, 1 - found) : found;
  };
  const missing = (place) => Number.isNaN(value(place));
  return places.sort((a, b) => (missing(a) ? 1 : missing(b) ? -1 : value(b) - value(a)) || a - b);
}

// Whether the probe's samples are strips.
const isOfSignals = () => run.value.probe.plane?.[0] === 1;

// Each channel's number at each step: which channels became what, and when.
function ByEpoch({ layer, places }) {
  const numbers = numbersOf(layer).value;
  const measure = chosenMeasure.value;
  if (!numbers || numbers.steps.length < 2) return null;
  const grid = places.map((place) => numbers.history(place, measure.field));
  const ends = measure.sided ? { low: 0, middle: measure.chance ?? 0.5, high: 1 } : endsOf(grid, measure);
  const rows = places.map((place) => ({ name: `channel ${layer.channels[place]}`, short: layer.channels[place] }));
  const open_ = (row, column) =>
    open("channel", { layer: layer.name, channel: layer.channels[places[row]], step: stepFor(numbers.steps[column]) });
  return html`<section class="card heat" data-whole>
    <h2>${measure.label[0].toUpperCase() + measure.label.slice(1)}, channel × ${layer.run.unit}</h2>
    <div class="tools">
      <span class="second">
        Channels in the order above. ${measure.sided && "Blue shows the object bright, orange dark; both tell it."}
        ${" "}Click a cell for the channel's film.
      </span>
      ${ends.low < ends.high && html`<${Shades} ends=${ends} measure=${measure} />`}
    </div>
    <${Cells} rows=${rows} what="channels" steps=${numbers.steps} grid=${grid} ends=${ends} measure=${measure}
      onOpen=${open_} />
  </section>`;
}

const stepFor = (each) => (each === run.value.steps.at(-1) ? null : each);

// Which channels show the same.
function Groups({ layer, alike }) {
  if (!alike || layer.channels.length < 2) return null;
  const { groups, live } = alike;
  if (live < 2) return null; // there are no two to compare
  if (!groups.length) return html`<p class="second">No two channels show the same (|r| over 0.95).</p>`;
  const named = groups.map(
    (group, index) =>
      html`${index > 0 && "; "}<b>${letterOf(index)}</b> ${group.map((place) => layer.channels[place]).join(", ")}`,
  );
  return html`<p class="second" title="correlation over the cells of all stored images above 0.95, or under −0.95">
    Channels that show the same (|r| over 0.95): ${named.slice(0, 6)}${groups.length > 6 && "…"}
  </p>`;
}

const letterOf = (index) => (index < 26 ? String.fromCharCode(65 + index) : `${index + 1}`);

function About({ layer, size, inputs, alike, now }) {
  const numbers = numbersOf(layer).value;
  const { field } = chosenMeasure.value;
  const best = numbers?.summary(now, "mask_auroc").best ?? null;
  const sorts = [
    ["channel", "channel"],
    ["alike", "alike together"],
    ...layer.fields.map((each) => [each, measureOf(each).label]),
  ];
  const reduced = reduction(layer, { width: size.width * ratio.value, height: size.height * ratio.value });
  return html`<h2><${LayerLabel} layer=${layer} /></h2>
    <${Facts} layer=${layer} />
    ${reduced && html`<p class="second">${reduced}</p>`}
    ${inputs && html`<div class="inputs"><${Inputs} /></div>`}
    <${Choice} label="sort by" value=${state.sort.value} options=${sorts}
      onPick=${(value) => (state.sort.value = value)} />
    <div class="trend">
      ${
        numbers
          ? html`<${Trend} numbers=${numbers} field=${field} step=${step} width=${220} height=${40} />`
          : html`<span class="ghost spark"></span>`
      }
      ${numbers && html`<${Baseline} layer=${layer} numbers=${numbers} measure=${chosenMeasure.value} />`}
      ${
        best !== null &&
        hasDensities(layer) &&
        html`<p>best channel, ${layer.channels[best]}</p><${Densities} layer=${layer} step=${now} place=${best} />`
      }
      <${Groups} layer=${layer} alike=${alike} />
      <p class="second">${basis(layer)}</p>
    </div>`;
}

function Inputs() {
  const { pictures, labels, slices, slice_axis } = run.value.probe;
  const shown = image.value;
  const labelled = labels > shown;
  const slice = sliceText(slices[shown], slice_axis);
  return html`${
    pictures > shown &&
    html`<figure data-whole>
      <${ProbePicture} kind="input" image=${shown} outlined=${labelled} label="input, true mask outlined" />
      <figcaption>input${slice || (labelled ? ", outlined" : "")}</figcaption>
    </figure>`
  }
  ${
    labelled &&
    html`<figure data-whole>
      <${ProbePicture} kind="labels" image=${shown} label="true mask" />
      <figcaption>true mask</figcaption>
    </figure>`
  }`;
}

// The layer's channels now and at the first step, which is what a score is to be measured against.
function Baseline({ layer, numbers, measure }) {
  const first = numbers.steps[0];
  const now = step.value;
  const columns = now === first ? [now] : [first, now];
  const cell = (step, which, who) => {
    const found = numbers.summary(step, measure.field);
    const place = found[who];
    const channel = html`<span class="second"><abbr title="channel">ch</abbr> ${layer.channels[place]}</span> `;
    const side = who === "best" && found.dark ? " dark" : "";
    return html`<td>${place != null && channel}<b>${format(found[which], measure)}${side}</b></td>`;
  };
  const row = (name, which, who = "") =>
    html`<tr><th scope="row">${name}</th>${columns.map((step) => cell(step, which, who))}</tr>`;
  const both =
    columns.length > 1 && html`<button class="link" onClick=${() => openBesideFirst(layer)}>compare</button>`;
  return html`<table class="baseline">
    <caption><${Word} measure=${measure} /> ${both}</caption>
    <thead>
      <tr><td></td>${columns.map((step) => html`<th scope="col">${stepName(layer.run, step)}</th>`)}</tr>
    </thead>
    <tbody>
      ${row(bestOf(measure), "highest", "best")} ${row("median", "median")} ${row("lowest", "lowest", "least")}
    </tbody>
  </table>`;
}

function Tile({ layer, place, size, now, onShown, group }) {
  const [ref, near] = useNear();
  const measure = chosenMeasure.value;
  const channel = layer.channels[place];
  const value = told(numbersOf(layer).value?.get(now, place, measure.field), measure);
  const point = (event) => {
    const box = event.currentTarget.getBoundingClientRect();
    const [height, width] = layer.map;
    const cell = (from, across, count) => {
      const under = cellUnder(Math.floor(from * ratio.value), count, across * ratio.value);
      return Math.min(Math.max(under, 0), count - 1);
    };
    const x = cell(event.clientX - box.left, box.width, width);
    const y = cell(event.clientY - box.top, box.height, height);
    const pixel = Math.floor((event.clientX - box.left) * ratio.value);
    const span = height === 1 ? spanUnder(pixel, width, Math.round(size.width * ratio.value)) : [x, x + 1];
    pointed.value = { place, cell: { x, y, span } };
  };
  const frame = { width: `${size.width}px`, height: `${size.height}px` };
  return html`<button ref=${ref} class="tile" data-whole aria-pressed=${state.channel.value === channel}
    title=${`channel ${channel}: ${measure.label} ${value}`}
    onClick=${() => open("channel", { channel, layer: layer.name })}
    onFocus=${() => (pointed.value = { place, cell: null })}>
    <span class="frame" style=${frame} onPointerMove=${point} onPointerDown=${point}>
      ${
        near &&
        html`<${Maps} layer=${layer} when=${current} places=${[place]} ...${size} label="" onShown=${onShown} />`
      }
    </span>
    <span class="under">
      <span>
        <abbr title="channel">ch</abbr> ${channel}${" "}
        ${group >= 0 && html`<b class="group" title="shows the same as others of its letter">${letterOf(group)}</b>`}
      </span><span class="value">${value}</span>
    </span>
  </button>`;
}

// The value of a cell as the layer put it out, and the channel's numbers.
function Pointed({ layer, now }) {
  const numbers = numbersOf(layer).value;
  const { place, cell } = pointed.value ?? {};
  if (!numbers || place === undefined || place >= layer.channels.length) {
    return html`<div class="pointed"><p class="second">Point at a map for its values.</p></div>`;
  }
  const picture = ready(layer, now.step, Math.min(now.image, Math.max(layer.run.probe.stored, 1) - 1));
  const [value, most] =
    picture && cell ? valuesUnder(picture, layer, place, cell, numbers.range("own", now.step, place)) : [];
  const cells = cell ? cell.span[1] - cell.span[0] : 0;
  const say = (field) => told(numbers.get(now.step, place, field), measureOf(field));
  const measure = measureOf("mask_auroc");
  const over = toldExcess(excessOf(numbers, now.step, place, measure));
  return html`<div class="pointed" aria-live="polite">
    <p>
      <b>channel ${layer.channels[place]}</b>${" "}
      ${
        cell &&
        html`<span class="second">
          at ${cellText(layer, cell)}${cells > 1 && ` and ${plural(cells - 1, "cell")} around it`}
        </span>`
      }
    </p>
    <p>
      value <b>${value === undefined ? "–" : format(value)}</b>${most !== value && html` to <b>${format(most)}</b>`}
    </p>
    <dl>${numbers.fields.map((field) => html`<dt>${measureOf(field).label}</dt><dd>${say(field)}</dd>`)}</dl>
    ${over.text && html`<p class="second">mask AUROC ${over.title}</p>`}
    <p><${InView} layer=${layer} step=${now.step} place=${place} measure=${measure} /></p>
  </div>`;
}

// The lowest and the highest value of the cells under the pointer.
function valuesUnder(picture, layer, place, { y, span }, range) {
  const [from, to] = span;
  const values = Array.from({ length: to - from }, (_, index) =>
    valueAt(picture, layer, place, { x: from + index, y }, range),
  );
  return [Math.min(...values), Math.max(...values)];
}
