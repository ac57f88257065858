// @ts-check
// Which layer, and which channel, tells which label: label by layer at a step, label by step of a layer, channel by
// label.

import { labelOf, measureOf, stepName } from "../data/log.js";
import { geometric } from "../data/spread.js";
import { excessOf } from "../data/measures.js";
import { numbersOf, summariesOf } from "../data/tables.js";
import { Matrix } from "../parts/matrix.js";
import { html } from "../parts/ui.js";
import { plural } from "../parts/widgets.js";
import { fields, layer, open, openAt, run, state, step, steps } from "../state/state.js";

const OTHERS = ["edge_auroc", "outline_auroc"];
const MOST = 24; // steps that are listed

// The scores of labels and named concepts; of two labels, where the one is what the other is not, the object's.
function scored() {
  const named = fields.value.filter(
    (field) => field.endsWith("_auroc") && field !== "mask_auroc" && !OTHERS.includes(field),
  );
  return named.length ? named : fields.value.filter((field) => field === "mask_auroc");
}

const nameOf = (/** @type {string} */ field) => {
  if (field !== "mask_auroc") return field.slice(0, -"_auroc".length);
  const objects = run.value.labels.filter(({ foreground }) => foreground).map(({ name }) => name);
  return objects.join(" or ") || "object";
};

// What the layer's best channel for a label tells of it that is no position; of labels other than the object the log
// has no control for each channel, but what it is for the best one.
const excessAt = (each, when, field) => {
  if (field !== "mask_auroc") {
    return (
      summariesOf(run.value)
        .value?.get(each.name)
        ?.get(when, 0, `${nameOf(field)}_excess`) ?? NaN
    );
  }
  const numbers = numbersOf(each).value;
  return numbers ? excessOf(numbers, when, numbers.summary(when, field).best, measureOf(field)) : NaN;
};

const EXCESS = "Small: what of it is more than on the masks of other images.";

export function Labels() {
  const all = scored();
  if (!all.length) {
    return html`<p class="message">
      No labels were given to this run: <code>masks=</code> of the callback tells what is where in the probe's images.
    </p>`;
  }
  const rows = all.map((field) => ({ name: nameOf(field), title: behind(field) }));
  return html`<div class="labels">
    <${ByLayer} all=${all} rows=${rows} />
    <${ByStep} all=${all} rows=${rows} />
    <${ByChannel} all=${all} rows=${rows} />
  </div>`;
}

// How much stands behind a label's scores.
function behind(field) {
  const [first] = run.value.drawable.filter((each) => each.cells?.[field]);
  if (!first) return measureOf(field).says ?? "";
  const images = first.images?.[field];
  const within = images === undefined ? "" : ` in ${images} of ${plural(run.value.probe.images, "image")}`;
  return `${plural(first.cells[field], "cell")}${within}, in ${labelOf(first)}`;
}

function ByLayer({ all, rows }) {
  const layers = run.value.drawable.filter((each) => all.some((field) => each.fields.includes(field)));
  const columns = layers.map((each, index) => ({
    name: each.number == null ? String(index + 1) : `#${each.number}`,
    title: each.path,
    here: each.name === layer.value.name,
  }));
  const value = (row, column) => numbersOf(layers[column]).value?.summary(step.value, all[row]).highest ?? NaN;
  return html`<section class="card" data-whole>
    <h2>Which layer tells which label, ${stepName(run.value, step.value)}</h2>
    <p class="note">
      How well the best of a layer's channels tells a label from all else, bright or dark: 0.5 is chance, 1 is perfect.
      The best of many is above chance by chance: look at the step before training.
      ${run.value.probe.images > 1 && ` ${EXCESS}`} Click a cell to choose the layer.
    </p>
    <${Matrix} caption="label by layer" corner="label" rows=${rows} columns=${columns} value=${value}
      over=${(row, column) => excessAt(layers[column], step.value, all[row])}
      onPick=${(_, column) => (state.layer.value = layers[column].name)} />
  </section>`;
}

function ByStep({ all, rows }) {
  const listed = geometric(steps.value, MOST);
  const last = /** @type {number} */ (steps.value.at(-1));
  const columnsOf = [...new Set([...listed, step.value, last])].sort((a, b) => a - b);
  const columns = columnsOf.map((each) => ({
    name: String(each),
    title: stepName(run.value, each),
    here: each === step.value,
  }));
  const pick = (each) => (state.step.value = each === last ? null : each);
  const numbers = numbersOf(layer.value).value;
  const value = (row, column) => numbers?.summary(columnsOf[column], all[row]).highest ?? NaN;
  return html`<section class="card" data-whole>
    <h2>Since when in ${labelOf(layer.value)}, by ${run.value.unit}</h2>
    <p class="note">The same of this layer at each ${run.value.unit}. Click a cell to go there.</p>
    <${Matrix} caption=${`label by ${run.value.unit}`} corner=${run.value.unit} rows=${rows} columns=${columns}
      value=${value} over=${(row, column) => excessAt(layer.value, columnsOf[column], all[row])}
      onPick=${(_, column) => pick(columnsOf[column])} />
  </section>`;
}

function ByChannel({ all, rows: columns }) {
  const chosen = layer.value;
  const numbers = numbersOf(chosen).value;
  const rows = chosen.channels.map((channel) => ({ name: `ch ${channel}`, title: `channel ${channel}` }));
  const value = (row, column) => numbers?.get(step.value, row, all[column]) ?? NaN;
  return html`<section class="card" data-whole>
    <h2>Which channel of ${labelOf(chosen)} tells which label, ${stepName(run.value, step.value)}</h2>
    <p class="note">
      “dark”: the channel is darker where the label is than elsewhere, which tells it as well. Click a cell for the
      channel's film.
    </p>
    <${Matrix} raw caption="channel by label" corner="channel" rows=${rows} columns=${columns} value=${value}
      onPick=${(row) => {
        open("channel", { channel: chosen.channels[row] });
        openAt("channel", chosen, step.peek());
      }} />
  </section>`;
}
