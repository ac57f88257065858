// @ts-check
// Listens to the keyboard, and explains it.

import { measureOf } from "../data/log.js";
import { help, helping, onKey } from "../state/keys.js";
import { usedPointer } from "../state/pointer.js";
import { fields, run } from "../state/state.js";
import { startTour } from "./tour.js";
import { html, useEffect, useRef } from "./ui.js";

// What is measured of channels, and then of layers, as far as anybody described it.
function measures() {
  const summaries = (run.value?.layers ?? []).flatMap((layer) => layer.summaries ?? []);
  const all = [...new Set([...fields.value, ...summaries])].map(measureOf);
  return all.filter(({ says }) => says);
}

export function Keyboard() {
  const dialog = useRef(null);
  useEffect(() => {
    document.addEventListener("keydown", onKey);
    document.addEventListener("pointerdown", usedPointer, true);
    return () => {
      document.removeEventListener("keydown", onKey);
      document.removeEventListener("pointerdown", usedPointer, true);
    };
  }, []);
  useEffect(() => {
    if (!helping.value || dialog.current.open) return;
    dialog.current.showModal();
    dialog.current.focus(); // and not the button at its end
    dialog.current.scrollTop = 0;
  }, [helping.value]);
  const keysOf = (keys) => keys.split(" ").map((key) => html`<kbd>${key}</kbd> `);
  return html`<dialog ref=${dialog} tabindex="-1" aria-labelledby="help-title" onClose=${() => (helping.value = false)}
    onClick=${(event) => event.target === dialog.current && dialog.current.close()}>
    <h2 id="help-title">Keys</h2>
    <table>
      <tbody>
        ${help().map(([keys, says]) => html`<tr><th scope="row">${keysOf(keys)}</th><td>${says}</td></tr>`)}
      </tbody>
    </table>
    <h2>How to read the maps</h2>
    <p>
      Each tile is one channel of a layer's output for one probe image. With the scale “1–99 %”, black is
      the 1st percentile of a map's own cells and white the 99th, so that a few bright cells do not leave the rest gray;
      “low–high” goes from the channel's lowest to its highest value over all images of that step. A shared scale
      makes brightness comparable.
    </p>
    <p>
      Maps that are larger than their tiles are averaged. Signals are strips: where more cells than pixels lie side by
      side, each column of pixels shows its cells sorted, the highest on top, so that single peaks are seen.
    </p>
    <p>
      The best channel of many scores above chance even before training, the more so on small maps: look at the median
      beside it, and at the step before training.
    </p>
    <p>
      “0.93 dark”: the map is darker where the object is, which tells it as well. “+0.12” is what a score has more than
      the same map scores on the masks of other images. “image 2” is the score on the image in view alone.
    </p>
    <h2>Numbers</h2>
    <p>
      AUROC: the area under the curve of hits against false alarms, which is how often a cell of the object is brighter
      than one of the background; 0.5 by chance, 1 or 0 always. IoU: intersection over union, the overlap of two
      areas. CKA: centred kernel alignment, how alike two states of a layer are whatever the order of its channels.
    </p>
    <dl class="numbers">
      ${measures().map(({ label, says }) => html`<dt>${label}</dt><dd>${says}</dd>`)}
    </dl>
    <form method="dialog">
      <button class="plain" onClick=${startTour}>Show the tour</button><button class="plain">Close</button></form>
  </dialog>`;
}
