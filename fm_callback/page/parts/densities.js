// @ts-check
// How the values of a channel lie on the object and off it, as two small hills: the further apart, the better the
// channel tells the object.

import { reachable } from "../data/log.js";
import { LIVE } from "../data/numbers.js";
import { pictureOf } from "../data/pictures.js";
import { labelled } from "../data/probe.js";
import { numbersOf } from "../data/tables.js";
import { histograms } from "../draw/in_view.js";
import { html, useEffect, useSignal } from "./ui.js";
import { plural } from "./widgets.js";

/** @typedef {import("../data/types.js").Layer} Layer */

const BINS = 32;

// Whether there is an object that the layer's maps lie over.
export const hasDensities = (/** @type {Layer} */ { planar, run }) => planar && run.probe.labels > 0;

export function Densities({ layer, step, place, width = 216, height = 54 }) {
  const found = useSignal(null);
  useEffect(() => {
    let gone = false;
    const waiting = setTimeout(async () => {
      const counts = await counted(layer, step, place).catch(() => null);
      if (!gone) found.value = counts;
    }, 120);
    return () => {
      gone = true;
      clearTimeout(waiting);
    };
  }, [layer, step, place, reachable.value]);
  const numbers = numbersOf(layer).value;
  if (!numbers || numbers.status(step)[place] !== LIVE) return null; // all cells have one value, or none
  const [background, object] = found.value?.counts ?? [];
  const most = Math.max(...(background ?? [0]), ...(object ?? [0]));
  const label = "how the values lie on the object, in orange, and on the background, in gray";
  return html`<figure class="densities" data-whole>
    <svg width=${width} height=${height} role="img" aria-label=${label}>
      ${
        most > 0 &&
        html`<path class="background" d=${hill(background, most, width, height)} />
        <path class="object" d=${hill(object, most, width, height)} />`
      }
    </svg>
    <figcaption>
      <span class="mark"><i class="object"></i>object</span>
      <span class="mark"><i class="background"></i>background</span>
      <span class="second">dark to bright${found.value ? `, ${plural(found.value.images, "image")}` : ""}</span>
    </figcaption>
  </figure>`;
}

// Shares of the cells, from the channel's lowest value to its highest, over all stored images that have labels.
async function counted(layer, step, place) {
  const { stored, labels } = layer.run.probe;
  const images = [...Array(Math.min(Math.max(stored, 1), labels)).keys()];
  const sums = [new Float64Array(BINS), new Float64Array(BINS)];
  for (const image of images) {
    const [picture, truth] = await Promise.all([pictureOf(layer, step, image), labelled(layer.run, image)]);
    if (!truth) continue;
    histograms(picture, layer, place, truth).forEach((levels, which) => {
      levels.forEach((count, level) => (sums[which][Math.floor((level * BINS) / 256)] += count));
    });
  }
  const counts = sums.map((bins) => {
    const all = bins.reduce((sum, count) => sum + count, 0);
    return Array.from(bins, (count) => (all ? count / all : 0));
  });
  return { counts, images: images.length };
}

function hill(shares, most, width, height) {
  const x = (bin) => ((bin + 0.5) / BINS) * width;
  const y = (share) => height - 1 - (share / most) * (height - 4);
  const line = shares.map((share, bin) => `L${x(bin).toFixed(1)} ${y(share).toFixed(1)}`).join("");
  return `M${x(0).toFixed(1)} ${height - 1}${line}L${x(BINS - 1).toFixed(1)} ${height - 1}Z`;
}
