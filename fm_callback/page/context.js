// The second bar: which layer, channel and probe image, and what the colours and marks mean.

import { numbersOf } from "./log.js";
import { format } from "./measures.js";
import { probe } from "./pictures.js";
import { COLOURS, filmed, image, layer, place, run, scale, state, step } from "./state.js";
import { MAPS, shown } from "./scale.js";
import { moveChannel, moveLayer } from "./keys.js";
import { dark } from "./host.js";
import { Choice, Toggle } from "./widgets.js";
import { html, useEffect, useRef } from "./ui.js";

export function Context() {
  const view = state.view.value;
  const ofLayer = ["layer", "channel", "compare"].includes(view);
  const layers = run.value.layers.filter((each) => !each.problem);
  if (!layers.length) return null;
  return html`<section class="context" aria-label="what is shown">
    ${
      ofLayer &&
      html`<span class="stepper">
      <${Choice} label="layer" value=${layer.value.layer} onPick=${(value) => (state.layer.value = value)}
        options=${layers.map((each) => [each.layer, `${each.number == null ? "" : `#${each.number} `}${each.path}`])} />
      <button aria-label="layer before" title="Layer before (k)" onClick=${() => moveLayer(-1)}>‹</button><button aria-label="next layer" title="Next layer (j)" onClick=${() => moveLayer(1)}>›</button>
    </span>`
    }
    <${ChannelChoice} ofLayer=${ofLayer} layers=${layers} />
    <${Images} />
    ${run.value.probe.masks > 0 && html`<${Toggle} label="mask outline" value=${state.outline.value} onPick=${(value) => (state.outline.value = value)} title="The true mask's outline over each map (o)" />`}
    <span class="legend">
      <${ColourBar} ofLayer=${ofLayer} />
      <span class="mark"><i class="hatched"></i>dead or flat</span>
      <span class="mark"><i class="alarm"></i>not finite</span>
    </span>
  </section>`;
}

function ChannelChoice({ ofLayer, layers }) {
  const channels = ofLayer
    ? layer.value.channels
    : [...new Set(layers.flatMap((each) => each.channels))].sort((a, b) => a - b);
  const options = [["all", "all"], ...channels.map((channel) => [channel, channel])];
  const chosen = state.channel.value;
  if (chosen !== null && !channels.includes(chosen)) options.push([chosen, `${chosen} (not logged)`]);
  return html`<span class="stepper">
    <${Choice} label="channel" value=${chosen ?? "all"} options=${options} onPick=${(value) => (state.channel.value = value === "all" ? null : Number(value))} />
    <button aria-label="channel before" title="Channel before ([)" onClick=${() => moveChannel(-1)}>‹</button><button aria-label="next channel" title="Next channel (])" onClick=${() => moveChannel(1)}>›</button>
  </span>`;
}

// The probe's images as small pictures to choose from.
function Images() {
  const { images } = run.value.probe;
  const count = Math.max(1, ...run.value.layers.map((each) => each.stored_images ?? 0));
  if (count < 2 && !images) return null;
  return html`<span class="thumbs" role="group" aria-label="probe image">
    ${Array.from(
      { length: count },
      (
        _,
        at,
      ) => html`<button aria-pressed=${at === image.value} aria-label=${`probe image ${at + 1}`} title=${`Probe image ${at + 1} of ${count}`} onClick=${() => (state.image.value = at)}>
      ${images ? html`<${ProbePicture} kind="image" at=${at} />` : at + 1}
    </button>`,
    )}
  </span>`;
}

// Draws an image or mask of the probe, the mask's outline on it where wished.
export function ProbePicture({ kind, at, outlined = false, label }) {
  const canvas = useRef(null);
  const of = run.value,
    theme = dark.value;
  useEffect(() => {
    let gone = false;
    Promise.all([probe(of, kind, at), outlined ? probe(of, "mask", at) : null]).then(([picture, mask]) => {
      if (gone || !picture || !canvas.current) return;
      const scale = outlined ? Math.max(1, Math.ceil(480 / picture.width)) : 1;
      drawProbe(canvas.current, picture, mask, scale);
      canvas.current.classList.remove("waiting");
    });
    return () => (gone = true);
  }, [of, kind, at, outlined, theme]);
  return html`<canvas ref=${canvas} class="probe waiting" ...${label ? { role: "img", "aria-label": label } : { "aria-hidden": "true" }}></canvas>`;
}

function drawProbe(canvas, picture, mask, scale) {
  canvas.width = picture.width * scale;
  canvas.height = picture.height * scale;
  const plain = new OffscreenCanvas(picture.width, picture.height);
  plain.getContext("2d").putImageData(picture, 0, 0);
  const context = canvas.getContext("2d");
  context.imageSmoothingEnabled = false;
  context.drawImage(plain, 0, 0, canvas.width, canvas.height);
  if (!mask) return;
  const inside = (x, y) =>
    x >= 0 && y >= 0 && x < mask.width && y < mask.height && mask.data[4 * (y * mask.width + x)] === 255;
  context.strokeStyle = getComputedStyle(document.documentElement).getPropertyValue("--outline");
  context.lineWidth = Math.max(1, scale / 2);
  const [across, down] = [canvas.width / mask.width, canvas.height / mask.height];
  context.beginPath();
  for (let y = 0; y <= mask.height; y++) {
    for (let x = 0; x <= mask.width; x++) {
      if (inside(x, y) !== inside(x - 1, y))
        context.moveTo(x * across, y * down), context.lineTo(x * across, (y + 1) * down);
      if (inside(x, y) !== inside(x, y - 1))
        context.moveTo(x * across, y * down), context.lineTo((x + 1) * across, y * down);
    }
  }
  context.stroke();
}

// What the colours mean at the moment, in values where one range holds for all that is shown.
function ColourBar({ ofLayer }) {
  const colour = state.colour.value;
  const numbers = ofLayer ? numbersOf(layer.value).value : null;
  const at = !ofLayer
    ? null
    : state.view.value === "channel" && !layer.value.problem
      ? filmed(layer.value)
      : place(layer.value);
  let range = null;
  if (numbers && scale.value === "layer") range = numbers.range("layer");
  if (numbers && at !== null && at >= 0 && scale.value !== "both") range = numbers.range(scale.value, step.value, at);
  const own = { own: "each map's", channel: "each channel's", layer: "each layer's", both: "both sides'" }[scale.value];
  const [low, high] = range
    ? shown(colour, range).map((value) => format(value))
    : colour === "diverging"
      ? [`${own} −max`, "max"]
      : [`${own} low`, "high"];
  return html`<span class="colour-bar" title=${`${COLOURS[colour]}: from ${low} to ${high}`}>
    <span>${low}</span><${Gradient} colour=${colour} /><span>${high}</span>
  </span>`;
}

export function Gradient({ colour }) {
  const canvas = useRef(null);
  useEffect(() => {
    const image = new ImageData(256, 1);
    new Uint32Array(image.data.buffer).set(MAPS[colour]);
    canvas.current.getContext("2d").putImageData(image, 0, 0);
  }, [colour]);
  return html`<canvas ref=${canvas} class="gradient" width="256" height="1" aria-hidden="true"></canvas>`;
}
