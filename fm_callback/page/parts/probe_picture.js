// @ts-check
// An input of the probe or its labels, as a picture.

import { reachable } from "../data/log.js";
import { input, labelled } from "../data/probe.js";
import { strokeOutline } from "../draw/outline.js";
import { paintInput, paintLabels } from "../draw/probe.js";
import { dark } from "../state/host.js";
import { run } from "../state/state.js";
import { html, useEffect, useRef } from "./ui.js";

/*
 * kind: "input" or "labels"; outlined: with the object's outline on it; label: what a screen reader says of it, if
 * anything.
 */
export function ProbePicture({ kind, image, outlined = false, label }) {
  const canvas = useRef(null);
  const shownRun = run.value;
  const theme = dark.value;
  useEffect(() => {
    let gone = false;
    const labels = kind === "labels" || outlined ? labelled(shownRun, image) : null;
    Promise.all([kind === "input" ? input(shownRun, image, paintInput) : null, labels]).then(([picture, found]) => {
      const shown = picture ?? (kind === "labels" ? found && paintLabels(found) : null);
      if (gone || !shown || !canvas.current) return;
      draw(canvas.current, shown, outlined ? found : null);
      canvas.current.classList.remove("waiting");
    });
    return () => {
      gone = true;
    };
  }, [shownRun.id, shownRun.versions.get(shownRun.steps[0]), kind, image, outlined, theme, reachable.value]);
  const told = label ? { role: "img", "aria-label": label } : { "aria-hidden": "true" };
  const shape = shownRun.probe.plane?.[0] === 1 ? "signal" : "";
  return html`<canvas ref=${canvas} class=${`probe waiting ${shape}`} ...${told}></canvas>`;
}

/**
 * @param {HTMLCanvasElement} canvas
 * @param {ImageData} image
 * @param {import("../data/types.js").LabelPicture | null} labels whose outline is drawn
 */
function draw(canvas, image, labels) {
  const scale = labels ? Math.max(1, Math.ceil(480 / image.width)) : 1;
  const picture = new OffscreenCanvas(image.width, image.height);
  /** @type {OffscreenCanvasRenderingContext2D} */ (picture.getContext("2d")).putImageData(image, 0, 0);
  canvas.width = image.width * scale;
  canvas.height = image.height * scale;
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  context.imageSmoothingEnabled = false;
  context.drawImage(picture, 0, 0, canvas.width, canvas.height);
  if (labels) strokeOutline(context, labels, Math.max(1, scale / 2));
}
