// @ts-check
// Layer by epoch: when does a layer become a mask? One cell for each layer and step; a click opens it.

import { labelOf, measureOf } from "../data/log.js";
import { numbersOf, summariesOf } from "../data/tables.js";
import { Cells, Shades, endsOf } from "../parts/cells.js";
import { html } from "../parts/ui.js";
import { Choice } from "../parts/widgets.js";
import { bestOf, fields, chosenMeasure, openAt, run, state, steps } from "../state/state.js";

// The names of the layers' own summaries; what follows from the channels' numbers is here already.
function summaryNames(layers) {
  const follow = new Set(
    fields.value.flatMap((field) => {
      const separation = `${field.replace(/_auroc$/, "")}_separation`;
      return [`${field}_best`, `${field}_median`, `${field}_lowest`, `${separation}_best`, `${separation}_median`];
    }),
  );
  return [...new Set(layers.flatMap((layer) => layer.summaries ?? []))].filter((name) => !follow.has(name));
}

// What all channels of a layer know of these very pictures, and not of where objects usually stand.
const OVER = /** @type {import("../data/types.js").Measure} */ ({
  field: "readout_over_control",
  label: "readout over its control",
  short: "readout over control",
  kind: "score",
  chance: 0,
  says: "what all channels together tell of the object more than of those of other images; 0 is position alone",
});

// wide: it has the whole page, and shows first what all channels of a layer know together.
export function Heatmap({ layers, wide = false }) {
  const names = summaryNames(layers);
  const summaries = summariesOf(run.value).value;
  const tables = layers.map((layer) => numbersOf(layer).value);
  const own = names.includes("readout_control") ? [OVER.field] : [];
  const first = wide && own.length ? OVER.field : "highest";
  const which = [...own, ...names, "highest", "median"].includes(state.heat.value) ? state.heat.value : first;
  const ofLayers = names.includes(which) || own.includes(which);
  const measure = own.includes(which) ? OVER : ofLayers ? measureOf(which) : chosenMeasure.value;
  const value = (row, each) => {
    if (own.includes(which)) {
      const layer = summaries?.get(layers[row].name);
      return (layer?.get(each, 0, "readout") ?? NaN) - (layer?.get(each, 0, "readout_control") ?? NaN);
    }
    if (!ofLayers) return tables[row]?.summary(each, measure.field)[which] ?? NaN;
    return summaries?.get(layers[row].name)?.get(each, 0, which) ?? NaN;
  };
  const grid = layers.map((_, row) => steps.value.map((each) => value(row, each)));
  const ends = endsOf(grid, measure);
  const title = `${measure.label[0].toUpperCase() + measure.label.slice(1)}, layer × ${run.value.unit}`;
  const options = [
    ["highest", `${bestOf(chosenMeasure.value)} channel's ${chosenMeasure.value.label}`],
    ["median", `median channel's ${chosenMeasure.value.label}`],
    ...own.map((name) => [name, OVER.label]),
    ...names.map((name) => [name, measureOf(name).label]),
  ];
  const asks = ["mask_auroc", "readout", OVER.field].includes(measure.field)
    ? "When does a layer know the object?"
    : title;
  return html`<section class=${wide ? "card heat wide" : "card heat"} data-whole>
    <h2>${asks}</h2>
    <div class="tools">
      <${Choice} hideLabel label="of each layer" value=${which} options=${options}
        onPick=${(picked) => (state.heat.value = picked === first ? null : picked)} />
      ${ends.low < ends.high && html`<${Shades} ends=${ends} measure=${measure} />`}
    </div>
    ${measure.says && html`<p class="second">${measure.label}: ${measure.says}.</p>`}
    ${
      tables.some((table) => !table)
        ? html`<p class="ghost" style="height: 230px; width: 100%">loading</p>`
        : html`<${Cells} rows=${layers.map((layer, row) => ({ name: labelOf(layer), short: layer.number ?? row + 1 }))}
            what="layers" steps=${steps.value} grid=${grid} ends=${ends} measure=${measure} wide=${wide}
            onOpen=${(row, column) => openAt("layer", layers[row], steps.value[column])} />`
    }
  </section>`;
}
