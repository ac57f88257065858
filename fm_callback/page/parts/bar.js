// @ts-check
// The bar: which run, which view, which step, at what scale and in which colours.

import { log, measureOf, stepName } from "../data/log.js";
import { counterpart } from "../data/pairs.js";
import { helping } from "../state/keys.js";
import { playing, togglePlay } from "../state/playback.js";
import {
  COLOURS,
  fields,
  goTo,
  inColours,
  layer,
  live,
  chosenMeasure,
  run,
  scale,
  scales,
  state,
  step,
  steps,
  view,
  views,
} from "../state/state.js";
import { Save } from "./save.js";
import { batch, html, signal } from "./ui.js";
import { Choice } from "./widgets.js";

// On a narrow page what is set once is put away.
const unfolded = signal(false);

export function Bar() {
  const runs = log.value.runs.map(({ id, name }) => [id, name]);
  return html`<header class="bar">
    <h1 class="unseen">Feature maps: ${view.value.title}</h1>
    <${Choice} quiet label="run" value=${run.value.id} options=${runs} title=${run.value.id}
      onPick=${pickRun} />
    <nav class="segments" aria-label="views">
      ${views.value.map(
        ({ key, title }, index) =>
          html`<button type="button" aria-current=${view.value.key === key ? "page" : undefined}
            title=${`${title} (${index + 1})`} onClick=${() => (state.view.value = key)}>${title}</button>`,
      )}
    </nav>
    <${Scrubber} />
    <${Settings} />
    <span class="actions">
      <button class="unfold" aria-expanded=${unfolded.value} onClick=${() => (unfolded.value = !unfolded.value)}>
        Display
      </button>
      <${Save} />
      <button class="round" aria-label="keys and help" title="Keys and help (?)"
        onClick=${() => (helping.value = true)}>?</button>
    </span>
  </header>`;
}

// The layer that is looked at is looked for in the other run, where it may have another name.
function pickRun(id) {
  const next = /** @type {import("../data/types.js").Run} */ (log.value.runs.find((each) => each.id === id));
  const named = state.layer.peek() !== null && !layer.peek().problem;
  batch(() => {
    if (named) state.layer.value = counterpart(layer.peek(), next)?.name ?? null;
    state.run.value = id;
  });
}

const SCALE_TITLE =
  "What shares one range of values: each map at a step has its own, from the 1st to the 99th percentile of its cells " +
  "or from the lowest to the highest; or a channel, or a whole layer, has one over all epochs (s)";

function Settings() {
  const { field, label, says } = chosenMeasure.value;
  if (view.value.mapless) return null;
  return html`<div class=${unfolded.value ? "settings unfolded" : "settings"}>
    <${Choice} label="scale" value=${scale.value} options=${scales.value} title=${SCALE_TITLE}
      onPick=${(value) => (state.scale.value = value)} />
    ${
      !inColours.value &&
      html`<${Choice} quiet label="colour" value=${state.colour.value} options=${Object.entries(COLOURS)}
      title="Colour map (c)" onPick=${(value) => (state.colour.value = value)} />`
    }
    <${Choice} quiet label="measure" value=${field} options=${fields.value.map((each) => [each, measureOf(each).label])}
      title=${`The number beside each picture: ${says ?? label}`} onPick=${(value) => (state.measure.value = value)} />
  </div>`;
}

function Scrubber() {
  const all = steps.value;
  const place = all.indexOf(step.value);
  const name = stepName(run.value, step.value),
    last = all.length - 1;
  const scrub = (event) => {
    playing.value = false;
    goTo(Number(event.currentTarget.value));
  };
  const icon = playing.value ? html`<path d="M1 0h3v10h-3zM6 0h3v10h-3z" />` : html`<path d="M1 0l9 5-9 5z" />`;
  return html`<div class=${live.value ? "scrubber growing" : "scrubber"}>
    <button class="round play" aria-label=${playing.value ? "pause" : "play"} disabled=${!last}
      title=${playing.value ? "Pause (space)" : "Play (space)"} onClick=${togglePlay}>
      <svg viewBox="0 0 10 10" width="10" height="10" aria-hidden="true">${icon}</svg>
    </button>
    <input type="range" min="0" max=${last} value=${place} aria-label="step" aria-valuetext=${name} onInput=${scrub}
      style=${{ "--part": last ? place / last : 1 }} />
    <output>
      ${step.value === 0 ? html`<b>before training</b>` : html`${run.value.unit} <b>${step.value}</b>`}
      <span class="second"> / ${all[last]}</span>
    </output>
    ${live.value && html`<span class="live" title="This run is still being written: new steps appear here">live</span>`}
  </div>`;
}
