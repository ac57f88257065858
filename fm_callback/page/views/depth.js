// One step, all layers from input to output: the way from edges to mask in one picture, and the profile of scores along it.

import { numbersOf, stepName } from "../log.js";
import { Maps, sheet, tileSize, useShown } from "../maps.js";
import { format, measure } from "../measures.js";
import { prefetch } from "../pictures.js";
import { ProbePicture } from "../context.js";
import { Curves } from "../curves.js";
import { Heatmap } from "./heatmap.js";
import { field, fields, image, openAt, place, run, state, step, steps } from "../state.js";
import { Segments, useNear, useWidth } from "../widgets.js";
import { effect, html, useEffect, useMemo } from "../ui.js";

const current = () => step.value;

export function Depth() {
  const [ref, width] = useWidth();
  const layers = run.value.layers.filter((each) => !each.problem);
  const { images, masks } = run.value.probe,
    by = measure(field.value ?? "std");
  const single = state.channel.value !== null || state.strip.value === "best";
  useEffect(
    () =>
      effect(() => {
        const all = steps.value,
          at = all.indexOf(step.value),
          shown = image.value,
          every = run.value.layers.filter((each) => !each.problem);
        const timer = setTimeout(
          () =>
            prefetch(
              every,
              [all[at + 1], all[at - 1], all[at + 2]].filter((each) => each !== undefined),
              shown,
            ),
          200,
        );
        return () => clearTimeout(timer);
      }),
    [],
  );
  const ends = (images > image.value) + (masks > image.value),
    cell = single ? share(width, layers.length + ends, 96, 8) : share(width, layers.length + ends, 220, 16);
  const choices = [
    ["best", `${by.score ? "best" : "highest"} ${by.label}`],
    ["all", "all channels"],
  ];
  return html`<div class="depth">
    <div class="tools">${state.channel.value === null ? html`<span class="second">each layer's</span><${Segments} label="what each layer shows" value=${state.strip.value} options=${choices} onPick=${(value) => (state.strip.value = value)} />` : html`<span>channel ${state.channel.value} of each layer</span>`}</div>
    <ol ref=${ref} class=${single ? "way" : "way sheets"} style=${{ "--width": `${cell}px`, "--height": `${single ? cell : Math.round(cell / 2)}px` }}>
      ${images > image.value && html`<li><span class="end"><${ProbePicture} kind="image" at=${image.value} label="input" /></span><p class="under"><span>input</span></p></li>`}
      ${layers.map((layer) => html`<${Station} key=${layer.layer} layer=${layer} by=${by} cell=${cell} />`)}
      ${masks > image.value && html`<li><span class="end"><${ProbePicture} kind="mask" at=${image.value} label="true mask" /></span><p class="under"><span>true mask</span></p></li>`}
    </ol>
    <div class="cards">
      <${Profile} layers=${layers} by=${by} />
      <${Heatmap} layers=${layers} by=${by} />
    </div>
  </div>`;
}

// The width of each of `count` cells that stand in rows as wide as the page, at least `least` wide.
function share(width, count, least, gap) {
  const columns = Math.max(1, Math.min(count, Math.floor((width + gap) / (least + gap))));
  return Math.min(Math.floor((width + gap) / columns) - gap, 1.6 * least);
}

function Station({ layer, by, cell }) {
  const [ref, near] = useNear();
  const numbers = numbersOf(layer).value,
    at = place(layer);
  const [shown, onShown] = useShown(layer);
  const all = state.strip.value === "all" && at === null;
  const places =
    at === null
      ? all
        ? layer.channels.map((_, index) => index)
        : [numbers?.summary(step.value, by.field).best ?? 0]
      : at < 0
        ? []
        : [at];
  const size = all ? sheet(layer, places, cell, cell / 2) : { columns: 1, gap: 0, ...tileSize(layer, cell) };
  const now = shown ?? { step: step.value, places },
    summary = numbers?.summary(now.step, by.field);
  const value = now.places.length === 1 ? numbers?.get(now.step, now.places[0], by.field) : summary?.highest;
  return html`<li ref=${ref}><button class="tile" aria-current=${layer.layer === state.layer.value ? "true" : undefined} title=${`${layer.path}${now.places.length === 1 ? `, channel ${layer.channels[now.places[0]]}` : ""}, ${layer.shape.slice(0, -1).join("×") || 1}; median ${by.label} ${format(summary?.median, by)} of ${layer.channels.length} channels`} onClick=${() => openAt("layer", layer, step.peek())}>
    <span class="frame">${near && numbers && places.length ? html`<${Maps} layer=${layer} at=${current} places=${places} ...${size} label="" onShown=${onShown} />` : html`<span class="hole"></span>`}</span>
    <span class="under"><span><b class="number">${layer.number == null ? "" : `#${layer.number}`}</b> ${all ? layer.path : html`<span class="unseen">${layer.path} </span>${layer.shape.slice(0, -1).join("×") || "1"}`}</span><span class="value">${format(value, by)}</span></span>
  </button></li>`;
}

// One range for the curves of all steps, in which the level of chance is seen: when they move, it is not the axis.
function rangeOf(tables, by) {
  let low = by.chance ?? Infinity,
    high = by.chance ?? -Infinity;
  for (const name of by.field === "mask_auroc" && fields.value.includes("edge_auroc")
    ? [by.field, "edge_auroc"]
    : [by.field]) {
    for (const table of tables) {
      for (const at of table.steps) {
        const { highest, median } = table.summary(at, name);
        for (const value of name === by.field ? [highest, median] : [median])
          if (Number.isFinite(value)) [low, high] = [Math.min(low, value), Math.max(high, value)];
      }
    }
  }
  if (!(low < high)) return undefined;
  const room = 0.05 * (high - low);
  return by.score ? [Math.max(low - room, 0), Math.min(high + room, 1)] : [low - room, high + room];
}

// Scores by depth: now and before training, the median beside the best, because the best of many is high by chance.
function Profile({ layers, by }) {
  const tables = layers.map((layer) => numbersOf(layer).value),
    loaded = tables.every(Boolean);
  const range = useMemo(() => (loaded ? rangeOf(tables, by) : undefined), [by.field, ...tables]);
  if (!loaded)
    return html`<section class="card"><h2>By depth</h2><p class="ghost" style="height: 220px; width: 100%">loading</p></section>`;
  const now = step.value,
    first = steps.value[0];
  const line = (name, which, at) => tables.map((table) => table.summary(at, name)[which]);
  const best = by.score ? "best" : "highest";
  const start = stepName(layers[0], first),
    here = stepName(layers[0], now);
  const lines = [
    { label: `${best} ${by.label}, ${here}`, values: line(by.field, "highest", now), ink: "--blue", width: 2 },
    { label: `median, ${here}`, values: line(by.field, "median", now), ink: "--series-3" },
  ];
  if (now !== first)
    lines.splice(1, 0, {
      label: `${best}, ${start}`,
      values: line(by.field, "highest", first),
      ink: "--blue",
      dash: [4, 4],
    });
  if (by.field === "mask_auroc" && fields.value.includes("edge_auroc")) {
    lines.push({
      label: `median edge AUROC, ${here}`,
      values: line("edge_auroc", "median", now),
      ink: "--series-2",
      width: 2,
    });
    if (now !== first)
      lines.push({
        label: `median edge, ${start}`,
        values: line("edge_auroc", "median", first),
        ink: "--series-2",
        dash: [4, 4],
      });
  }
  const numbers = layers.map((layer, index) => layer.number ?? index + 1);
  const x = numbers.every((number, index) => index === 0 || number > numbers[index - 1])
    ? numbers
    : layers.map((_, index) => index + 1);
  const counts = layers.map((layer) => layer.channels.length),
    cells = layers.map((layer) => layer.shape.slice(0, -1).reduce((a, b) => a * b, 1));
  const span = (values) =>
    Math.min(...values) === Math.max(...values)
      ? `${values[0]}`
      : `${Math.min(...values).toLocaleString("en")} to ${Math.max(...values).toLocaleString("en")}`;
  return html`<section class="card"><h2>${by.label[0].toUpperCase() + by.label.slice(1)} by depth</h2>
    <p class="note">Layers in model order; the ${best} of ${span(counts)} channels, over ${span(cells)} cells × ${layers[0].probe_images} images. ${by.chance ? "The dotted level is chance, .5: the best of many lies above it even untrained." : ""}</p>
    <${Curves} title="by depth" unit="layer" x=${x} hint="Point at a layer for its values; click to open it." lines=${lines} height=${230} level=${by.chance ?? null} range=${by.share ? [0, 1] : range} names=${(value) => (layers[x.indexOf(value)] ? `#${value} ${layers[x.indexOf(value)].path}` : "")} format=${(value) => format(value, by)}
      onPick=${(index) => openAt("layer", layers[index], step.peek())} />
  </section>`;
}
