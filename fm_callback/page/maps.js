// Maps on the screen: a canvas that shows some channels of a layer at a step, and keeps what it shows until the next picture is there.

import { dark } from "./host.js";
import { log, numbersOf, stepName } from "./log.js";
import { keyOf, probe, want } from "./pictures.js";
import { compose, contour, writeMarks } from "./compose.js";
import { image, scale, state } from "./state.js";
import { effect, html, signal, useEffect, useRef, useSignal } from "./ui.js";

export const ratio = signal(Math.min(window.devicePixelRatio || 1, 3));

// Height and width of one map as they are drawn; a map of one axis is a strip.
export function mapSize(layer) {
  const axes = layer.shape.slice(0, -1);
  if (axes.length >= 3) return axes.slice(-2); // Conv3D, TimeDistributed: the stored slice
  return axes.length === 2 ? axes : [1, axes[0] ?? 1];
}

// The size of a tile for a layer, at most `most` wide and high; strips are made high enough to be seen.
export function tileSize(layer, most) {
  const [height, width] = mapSize(layer);
  const scale = most / Math.max(height, width, 1);
  return { width: Math.max(Math.round(width * scale), 10), height: Math.max(Math.round(height * scale), 10) };
}

// In how many columns maps stand, so that all are about `aspect` times as wide as high, without holes where that is possible.
export function columnsFor(layer, count, aspect) {
  const [height, width] = mapSize(layer),
    ideal = Math.sqrt((count * height * aspect) / width);
  const even = Array.from({ length: count }, (_, at) => at + 1).filter(
    (columns) => count % columns === 0 && columns >= 0.7 * ideal && columns <= 1.7 * ideal,
  );
  const off = (columns) => Math.abs(Math.log(columns / ideal)),
    nearest = (best, columns) => (off(columns) < off(best) + 1e-9 ? columns : best); // of two as near, the flatter
  return even.length ? even.reduce(nearest) : Math.min(count, Math.ceil(ideal));
}

// A sheet of many channels that fits a width, about twice as wide as high.
export function sheet(layer, places, width, most) {
  const [high, wide] = mapSize(layer),
    columns = columnsFor(layer, places.length, 2);
  const across = Math.max(Math.floor(Math.min((width - columns + 1) / columns, most * Math.max(wide / high, 1))), 2);
  const height = Math.min(Math.max(Math.round((across * high) / wide), 6), 2 * across);
  const rows = Math.ceil(places.length / columns);
  return {
    columns,
    width: across,
    height,
    gap: 1,
    whole: { width: columns * (across + 1) - 1, height: rows * (height + 1) - 1 },
  };
}

// The range of values that a tile's colours span.
export function rangeOf(numbers, step, scale) {
  return (place) => numbers.range(scale === "both" ? "own" : scale, step, place);
}

/*
 * at: a step, or a function of signals that gives one. onShown({layer, step, image, places}): this is now on the screen, or what is
 * wrong with it.
 * label: what a screen reader says of it, "" where words beside it say it all.
 * range: (numbers, step) => place => [low, high], where it is not the page's own scale.
 */
export function Maps({ layer, at, places, columns, width, height, gap = 1, label, range, onShown, plain = false }) {
  const canvas = useRef(null);
  const trouble = useSignal(null);
  const rows = Math.ceil(places.length / columns);
  const size = { width: `${columns * (width + gap) - gap}px`, height: `${rows * (height + gap) - gap}px` };

  useEffect(
    () =>
      effect(() => {
        const step = typeof at === "function" ? at() : at;
        const shownImage = image.value,
          colour = state.colour.value,
          scaled = scale.value,
          outlined = state.outline.value && !plain;
        const numbers = numbersOf(layer).value,
          pixelRatio = ratio.value;
        dark.value; // repaints the marks
        const say = (wrong) => {
          trouble.value = wrong;
          onShown?.({ layer, step, image: shownImage, places });
        };
        if (step === null || !layer.wall.has(step)) return say("not logged at this step");
        let gone = false;
        const withdraw = want(layer, step, Math.min(shownImage, layer.stored_images - 1), async (picture) => {
          if (picture instanceof Error) {
            if (!gone) say(picture.message);
            return;
          }
          const across = Math.max(1, Math.round(width * pixelRatio)),
            down = Math.max(1, Math.round(height * pixelRatio));
          const run =
            outlined && layer.shape.length === 3 ? log.peek().runs.find((each) => each.run === layer.run) : null;
          const mask = run ? await probe(run, "mask", shownImage) : null;
          if (gone || !canvas.current) return;
          const drawn = compose({
            layer,
            picture,
            key: keyOf(layer, step, shownImage),
            numbers,
            step,
            places,
            columns,
            colour,
            width: across,
            height: down,
            gap: gap && Math.max(1, Math.round(gap * pixelRatio)),
            range: numbers && (range ? range(numbers, step) : rangeOf(numbers, step, scaled)),
            outline: contour(mask, across, down),
          });
          show(canvas.current, drawn, across, down, pixelRatio);
          canvas.current.dataset.step = step;
          say(null);
        });
        return () => {
          gone = true;
          withdraw();
        };
      }),
    [layer, at, places.join(), columns, width, height, range, plain],
  );

  const told = label ?? `${layer.path ?? layer.layer}, ${typeof at === "function" ? "" : stepName(layer, at)}`;
  return html`<div class="maps" style=${size}>
    <canvas key=${`${layer.run} ${layer.layer}`} ref=${canvas} ...${label === "" ? { "aria-hidden": "true" } : { role: "img", "aria-label": told }} class="waiting" style=${size}></canvas>
    ${trouble.value && html`<p class="trouble" title=${trouble.value}>${trouble.value}</p>`}
  </div>`;
}

// What Maps of a layer have on the screen, and their onShown; null before the first. What is told of a picture is told of this.
export function useShown({ run, layer }) {
  const shown = useSignal(null),
    of = shown.value?.layer;
  return [of?.run === run && of.layer === layer ? shown.value : null, (now) => (shown.value = now)];
}

function show(canvas, drawn, width, height, pixelRatio) {
  if (canvas.width !== drawn.width || canvas.height !== drawn.height) {
    canvas.width = drawn.width;
    canvas.height = drawn.height;
  }
  const context = canvas.getContext("2d");
  context.putImageData(drawn, 0, 0);
  writeMarks(context, drawn.marks, width, height, pixelRatio);
  canvas.classList.remove("waiting");
}
