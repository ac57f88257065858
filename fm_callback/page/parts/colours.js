// @ts-check
// A layer on the screen as one picture in colours; with a place marked, how like that place all others are.

import { warmUp } from "../data/beside.js";
import { coloured, colouring, likeness } from "../data/colours.js";
import { reachable, stepName } from "../data/log.js";
import { NONFINITE } from "../data/numbers.js";
import { want } from "../data/pictures.js";
import { numbersHere } from "../data/tables.js";
import { colourPicture, likenessPicture, ring } from "../draw/colour_picture.js";
import { contour } from "../draw/outline.js";
import { dark } from "../state/host.js";
import { image, markedPlace, ownContrast } from "../state/state.js";
import { outlined, ratio, show } from "./maps.js";
import { html, useEffect, useRef, useSignal, useWatch } from "./ui.js";
import { plural } from "./widgets.js";

/** @typedef {import("../data/types.js").Layer} Layer */

/*
 * when: a step, or a function of signals that gives one. onShown({layer, step, image}): this is now on the screen, or
 * what is wrong with it. of: the layer whose colours are taken, where that is another.
 */
export function Colours({ layer, when, width, height, label, onShown, of = layer }) {
  const canvas = useRef(null);
  const trouble = useSignal(null);
  const left = useSignal(0);
  const size = { width: `${width}px`, height: `${height}px` };

  useWatch(() => {
    const step = typeof when === "function" ? when() : when;
    const shownImage = image.value;
    const labels = outlined(layer, shownImage);
    const pixelRatio = ratio.value;
    const own = ownContrast.value;
    const place = layer.planar || layer.map[0] === 1 ? markedPlace.value : null;
    dark.value; // repaints the marks
    reachable.value; // asks again for what did not come
    const say = (wrong) => {
      trouble.value = wrong;
      onShown?.({ layer, step, image: shownImage });
    };
    if (!layer.run.versions.has(step)) return say("not logged at this step");
    let gone = false;
    const stored = Math.min(shownImage, Math.max(layer.run.probe.stored, 1) - 1);
    const across = { width: Math.max(1, Math.round(width * pixelRatio)), height: Math.round(height * pixelRatio) };
    // All that is needed is asked for at once.
    const basis = place ? null : colouring(of);
    basis?.catch(() => {}); // who waits for it hears of it
    const numbersThere = numbersHere(layer);
    numbersThere.catch(() => {});
    warmUp();
    const draw = async (picture) => {
      const numbers = await numbersThere;
      const outline = contour(labels && (await labels), across.width, across.height);
      const status = numbers.status(step);
      const common = { map: layer.map, size: across, outline };
      let drawn;
      if (place) {
        const cosines = await likeness(picture, layer, step, numbers, place);
        drawn = likenessPicture({ ...common, cosines });
      } else {
        const found = await basis;
        const colours = found && (await coloured(picture, layer, step, numbers, found, own));
        drawn = colourPicture({ ...common, colours, status });
      }
      if (gone || !canvas.current) return;
      show(canvas.current, drawn, across.width, across.height, pixelRatio);
      if (place) ring(canvas.current.getContext("2d"), place, pixelRatio);
      canvas.current.dataset.step = step;
      canvas.current.dataset.shows = place ? "likeness" : "colours";
      left.value = status.filter((is) => is === NONFINITE).length;
      say(null);
    };
    const withdraw = want(layer, step, stored, (picture) => {
      if (gone) return;
      if (picture instanceof Error) say(picture.message);
      else draw(picture).catch((error) => gone || say(error.message));
    });
    return () => {
      gone = true;
      withdraw();
    };
  }, [layer, of, when, width, height]);

  const name = label ?? `${layer.path}, ${typeof when === "function" ? "" : stepName(layer.run, when)}`;
  const told = name === "" ? { "aria-hidden": "true" } : { role: "img", "aria-label": name };
  const lacking = left.value ? `${plural(left.value, "channel")} not finite, left out` : undefined;
  return html`<div class="maps" style=${size} title=${lacking}>
    <canvas key=${`${layer.run.id} ${layer.name}`} ref=${canvas} ...${told} class="waiting" style=${size}></canvas>
    ${trouble.value && html`<p class="trouble" title=${trouble.value}>${trouble.value}</p>`}
  </div>`;
}

/**
 * How much of a layer its colours show, in words; empty until that is known.
 *
 * @param {Layer} layer
 * @param {boolean} wanted
 */
export function useShare(layer, wanted) {
  const share = useSignal("");
  useEffect(() => {
    if (!wanted) return;
    let gone = false;
    colouring(layer).then(
      (found) => {
        if (!gone) share.value = shareText(layer, found);
      },
      () => {},
    );
    return () => {
      gone = true;
    };
  }, [layer, wanted]);
  return share.value;
}

/**
 * @param {Layer} layer
 * @param {import("../data/colours.js").Colouring | null} found
 */
function shareText({ channels }, found) {
  if (!found) return "no channel has any contrast";
  if (found.basis.kind === "components") return `colours: ${Math.round(100 * found.basis.share)} % of the variance`;
  if (channels.length === 1) return "its one channel, in gray";
  const parts = channels.length === 2 ? ["red", "cyan"] : ["red", "green", "blue"];
  return `channels ${channels.map((channel, index) => `${channel} ${parts[index]}`).join(", ")}`;
}
