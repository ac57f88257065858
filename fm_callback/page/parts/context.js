// @ts-check
// The second bar: which layer, channel and probe image, and what the colours and marks mean.

import { awaited, ready } from "../data/pictures.js";
import { LIVE } from "../data/numbers.js";
import { numbersOf } from "../data/tables.js";
import { percentiles } from "../draw/contrast.js";
import { shown } from "../draw/scale.js";
import { format } from "../data/measures.js";
import { moveChannel, moveLayer } from "../state/keys.js";
import {
  COLOURS,
  filmed,
  image,
  inColours,
  knownBest,
  layer,
  place,
  run,
  scale,
  state,
  step,
  view,
} from "../state/state.js";
import { spanned } from "./maps.js";
import { ProbePicture } from "./probe_picture.js";
import { html } from "./ui.js";
import { Choice, ColourBar, LayerSelect, Toggle } from "./widgets.js";

export function Context() {
  if (!run.value.drawable.length) return null;
  const share = inColours.value ? 0 : commonRange()?.clipped;
  const clipped = share ? format(share, { kind: "share" }) : "";
  return html`<section class="context" aria-label="what is shown">
    ${
      view.value.ofLayer &&
      html`<span class="stepper">
        <${LayerSelect} label="layer" run=${run.value} value=${layer.value.name}
          onPick=${(value) => (state.layer.value = value)} />
        <button aria-label="layer before" title="Layer before (k)" onClick=${() => moveLayer(-1)}>‹</button>
        <button aria-label="next layer" title="Next layer (j)" onClick=${() => moveLayer(1)}>›</button>
      </span>`
    }
    ${view.value.ofLayer && html`<${ChannelChoice} />`}
    <${Images} />
    ${
      run.value.probe.labels > 0 &&
      html`<${Toggle} label="mask outline" value=${state.outline.value}
        title="The true mask's outline over each map (o)" onPick=${(value) => (state.outline.value = value)} />`
    }
    ${
      !inColours.value &&
      scale.value === "most" &&
      html`<${Toggle} label=${clipped ? `mark clipped (${clipped})` : "mark clipped"} value=${state.clipped.value}
        title="Cells outside of what the colours span: those above striped, those below dotted"
        onPick=${(value) => (state.clipped.value = value)} />`
    }
    ${
      !["prediction", "labels"].includes(view.value.key) &&
      html`<span class="legend">
      ${!inColours.value && html`<${Meaning} />`}
      <span class="mark"><i class="hatched"></i>dead or flat</span>
      <span class="mark"><i class="alarm"></i>not finite</span>
    </span>`
    }
  </section>`;
}

function ChannelChoice() {
  const channels = layer.value.channels ?? [];
  const best = view.value.ofChannel && !layer.value.problem ? channels[filmed(layer.value)] : null;
  const numbers = best === null ? null : numbersOf(layer.value).value;
  const which = numbers && knownBest(layer.value, numbers) === null ? "first" : "best";
  const all = best === null || state.channel.value !== null ? "all" : `${which} (${best})`;
  const options = /** @type {[string | number, string | number][]} */ ([["all", all]]);
  options.push(...channels.map((channel) => /** @type {[number, number]} */ ([channel, channel])));
  const chosen = state.channel.value;
  if (chosen !== null && !channels.includes(chosen)) options.push([chosen, `${chosen} (not logged)`]);
  const pick = (value) => (state.channel.value = value === "all" ? null : Number(value));
  return html`<span class="stepper">
    <${Choice} label="channel" value=${chosen ?? "all"} options=${options} onPick=${pick} />
    <button aria-label="channel before" title="Channel before ([)" onClick=${() => moveChannel(-1)}>‹</button>
    <button aria-label="next channel" title="Next channel (])" onClick=${() => moveChannel(1)}>›</button>
  </span>`;
}

// The probe's images as small pictures to choose from.
function Images() {
  const { stored, pictures } = run.value.probe;
  if (stored < 2 && !pictures) return null;
  return html`<span class="thumbs" role="group" aria-label="probe image">
    ${Array.from(
      { length: Math.max(stored, 1) },
      (_, index) =>
        html`<button aria-pressed=${index === image.value} aria-label=${`probe image ${index + 1}`}
          title=${`Probe image ${index + 1} of ${stored}`} onClick=${() => (state.image.value = index)}>
          ${pictures ? html`<${ProbePicture} kind="input" image=${index} />` : index + 1}
        </button>`,
    )}
  </span>`;
}

const WHOSE = {
  own: "each map's",
  channel: "each channel's",
  layer: "each layer's",
  both: "both sides'",
};

// What the colours mean at the moment, in values where one range holds for all that is shown.
function Meaning() {
  const colour = state.colour.value;
  const found = commonRange();
  const whose = WHOSE[scale.value];
  const [low, high] = found
    ? shown(colour, found.range).map((value) => format(value))
    : colour === "diverging"
      ? [`${whose} −max`, "max"]
      : scale.value === "most"
        ? ["1st percentile", "99th"]
        : [`${whose} low`, "high"];
  const title = `${COLOURS[colour]}: from ${low} to ${high}`;
  return html`<${ColourBar} colour=${colour} low=${low} high=${high} title=${title} />`;
}

function commonRange() {
  const numbers = view.value.ofLayer ? numbersOf(layer.value).value : null;
  if (!numbers) return null;
  if (scale.value === "layer") return { range: numbers.range("layer"), clipped: 0 };
  const chosen = view.value.ofChannel && !layer.value.problem ? filmed(layer.value) : place(layer.value);
  if (chosen === null || chosen < 0 || scale.value === "both") return null;
  if (scale.value !== "most") return { range: numbers.range(scale.value, step.value, chosen), clipped: 0 };
  awaited.value; // asks again when pictures have come
  const picture = ready(layer.value, step.value, Math.min(image.value, Math.max(run.value.probe.stored, 1) - 1));
  if (!picture || numbers.status(step.value)[chosen] !== LIVE) return null;
  const ends = percentiles(picture, layer.value, chosen);
  return { range: spanned(ends, numbers.range("own", step.value, chosen)), clipped: ends.clipped };
}
