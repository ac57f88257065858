// @ts-check
// A label picture in colours: those that the log gives; else the object white, what is ignored gray, the rest black.

import { pixelOf } from "./scale.js";

/** @param {import("../data/types.js").LabelPicture} picture */
export function paintLabels({ width, height, pixels, labels }) {
  const colours = labels.map(({ colour, foreground, ignored }) =>
    pixelOf(colour ?? (ignored ? "#808080" : foreground ? "#ffffff" : "#000000")),
  );
  const image = new ImageData(width, height);
  new Uint32Array(image.data.buffer).set(Uint32Array.from(pixels, (label) => colours[label] ?? pixelOf("#000000")));
  return image;
}
