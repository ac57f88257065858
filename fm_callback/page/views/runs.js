// @ts-check
// Under the two that are compared, the same layer and step of all runs.

import { labelOf, log, stepName } from "../data/log.js";
import { told, toldBest } from "../data/measures.js";
import { ALIKE, counterpart } from "../data/pairs.js";
import { numbersOf } from "../data/tables.js";
import { sheet, tileSize, wideness } from "../draw/geometry.js";
import { Maps } from "../parts/maps.js";
import { html } from "../parts/ui.js";
import { Toggle } from "../parts/widgets.js";
import { bestOf, chosenMeasure, layer, nearest, placesOf, run, state, step } from "../state/state.js";

// Those that are not hidden.
export function Runs() {
  const hidden = state.hidden.value ?? [];
  const { name, path } = layer.value;
  const layers = log.value.runs.map((each) => counterpart(layer.value, each)).filter((found) => found !== null);
  if (layers.length < 2) return null;
  const others = layers.some((each) => each.name !== name);
  const toggle = (id) => {
    const next = hidden.includes(id) ? hidden.filter((each) => each !== id) : [...hidden, id];
    state.hidden.value = next.length ? next : null;
  };
  return html`<section class="runs">
    <h2>
      ${path} in all runs${" "}
      <span class="second">
        at ${stepName(run.value, step.value)}, or the last step before it${
          others && `; where its name differs, the layer of ${ALIKE}`
        }
      </span>
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
  const { steps } = shownLayer.run;
  const other = shownLayer.name === layer.value.name ? "" : ` · ${labelOf(shownLayer)}`;
  const name = shownLayer.run.name + other;
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
    ? { columns: 1, gap: 0, whole: null, ...tileSize(shownLayer, 160 * wideness(shownLayer, 2)) }
    : sheet(shownLayer, places.length, 290, 44);
  const value = single
    ? told(numbers?.get(when, places[0], measure.field), measure)
    : toldBest(numbers?.summary(when, measure.field), measure);
  const at = stepName(shownLayer.run, when);
  return html`<figure data-whole style=${{ width: `${Math.max(whole?.width ?? size.width, 160)}px` }}>
    <${Maps} layer=${shownLayer} when=${when} places=${places} ...${size} label=${`${name}, ${at}`} />
    <figcaption>
      ${name} · ${at} · ${single ? "" : `${bestOf(measure)} `}${measure.label} <b>${value}</b>
    </figcaption>
  </figure>`;
}
