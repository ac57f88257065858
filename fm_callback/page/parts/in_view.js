// @ts-check
// The score of a channel on the picture in view, beside the one over all images.

import { told } from "../data/measures.js";
import { NONFINITE } from "../data/numbers.js";
import { want } from "../data/pictures.js";
import { labelled } from "../data/probe.js";
import { numbersOf } from "../data/tables.js";
import { aurocInView } from "../draw/in_view.js";
import { image } from "../state/state.js";
import { html, useEffect, useSignal } from "./ui.js";

/** @typedef {import("../data/types.js").Layer} Layer */

// Where it says more than the score over all images does.
export const hasView = (/** @type {Layer} */ layer, /** @type {import("../data/types.js").Measure} */ { field }) =>
  field === "mask_auroc" && layer.planar && layer.run.probe.images > 1 && layer.run.probe.labels > image.value;

// short: where there is little room, and beside it stands what it is of.
export function InView({ layer, step, place, measure, short = false }) {
  const value = useSignal(NaN);
  const shown = image.value;
  const numbers = numbersOf(layer).value;
  const finite = numbers && place !== null && numbers.status(step)[place] !== NONFINITE;
  const asked = hasView(layer, measure) && finite && layer.run.versions.has(step);
  useEffect(() => {
    if (!asked) return;
    let gone = false;
    const withdraw = want(layer, step, shown, async (picture) => {
      const labels = picture instanceof Error ? null : await labelled(layer.run, shown);
      if (!gone) value.value = labels && !(picture instanceof Error) ? aurocInView(picture, layer, place, labels) : NaN;
    });
    return () => {
      gone = true;
      withdraw();
    };
  }, [asked, layer, step, shown, place]);
  if (!asked) return null;
  const others = `the other is over all ${layer.run.probe.images}`;
  const title = `${measure.label} of this channel on the image in view alone; ${others}`;
  const which = short ? "here" : `image ${shown + 1}:`;
  return html`<span class="second in-view" title=${title}>${which} ${told(value.value, measure)}</span>`;
}
