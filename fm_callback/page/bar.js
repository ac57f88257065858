// The bar: which run, which view, which step, at what scale and in which colours.

import { log, stepName } from "./log.js";
import { measure } from "./measures.js";
import { playing, togglePlay } from "./playback.js";
import { helping } from "./keys.js";
import { COLOURS, VIEWS, field, fields, goTo, run, scale, scales, state, step, steps } from "./state.js";
import { Save } from "./save.js";
import { Choice } from "./widgets.js";
import { html, signal } from "./ui.js";

const TITLES = { evolution: "Evolution", layer: "Layer", channel: "Channel", compare: "Compare", depth: "Depth" };

// On a narrow page what is set once is put away.
const unfolded = signal(false);

export function Bar() {
  const runs = log.value.runs,
    by = measure(field.value ?? "std");
  return html`<header class="bar">
    <h1 class="unseen">Feature maps: ${TITLES[state.view.value]}</h1>
    <${Choice} quiet label="run" value=${run.value.run} options=${runs.map((each) => [each.run, each.name])} onPick=${(value) => (state.run.value = value)} title=${run.value.run} />
    <nav class="segments" aria-label="views">
      ${VIEWS.map((view, at) => html`<button type="button" aria-current=${state.view.value === view ? "page" : undefined} title=${`${TITLES[view]} (${at + 1})`} onClick=${() => (state.view.value = view)}>${TITLES[view]}</button>`)}
    </nav>
    <${Scrubber} />
    <div class=${unfolded.value ? "settings unfolded" : "settings"}>
      <${Choice} label="scale" value=${scale.value} options=${scales.value} onPick=${(value) => (state.scale.value = value)} title="What shares one range of values: each map at a step has its own; or a channel, or a whole layer, has one over all epochs (s)" />
      <${Choice} quiet label="colour" value=${state.colour.value} options=${Object.entries(COLOURS)} onPick=${(value) => (state.colour.value = value)} title="Colour map (c)" />
      <${Choice} quiet label="measure" value=${field.value} options=${fields.value.map((each) => [each, measure(each).label])} onPick=${(value) => (state.measure.value = value)} title=${`The number beside each picture: ${by.says ?? by.label}`} />
    </div>
    <span class="actions">
      <button class="unfold" aria-expanded=${unfolded.value} onClick=${() => (unfolded.value = !unfolded.value)}>Display</button>
      <${Save} />
      <button class="round" aria-label="keys and help" title="Keys and help (?)" onClick=${() => (helping.value = true)}>?</button>
    </span>
  </header>`;
}

function Scrubber() {
  const all = steps.value,
    at = all.indexOf(step.value),
    name = stepName(run.value.layers[0], step.value);
  const last = all.at(-1);
  return html`<div class="scrubber">
    <button class="round play" aria-label=${playing.value ? "pause" : "play"} title=${playing.value ? "Pause (space)" : "Play (space)"} onClick=${togglePlay} disabled=${all.length < 2}>
      <svg viewBox="0 0 10 10" width="10" height="10" aria-hidden="true">${playing.value ? html`<path d="M1 0h3v10h-3zM6 0h3v10h-3z" />` : html`<path d="M1 0l9 5-9 5z" />`}</svg>
    </button>
    <input type="range" min="0" max=${Math.max(all.length - 1, 0)} value=${at} aria-label="step" aria-valuetext=${name} style=${{ "--part": all.length > 1 ? at / (all.length - 1) : 1 }}
      onInput=${(event) => ((playing.value = false), goTo(Number(event.currentTarget.value)))} />
    <output>${step.value === 0 ? html`<b>before training</b>` : html`${name.split(" ")[0]} <b>${step.value}</b>`}<span class="second"> / ${last}</span></output>
  </div>`;
}
