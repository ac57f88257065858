// @ts-check
// What the probe looks like: its inputs, and its labels in colours, at most as large as a page shows them.

import { pictureSize } from "./geometry.js";
import { pixelOf } from "./scale.js";
import { bring, cellUnder, sortColumns } from "./tiles.js";

const MOST = 1024; // pixels of the longer side

/** @param {import("../data/decode.js").Decoded} input gray, or colours, or colours with alpha */
export function paintInput({ width, height, channels, pixels }) {
  const size = pictureSize(width, height, MOST);
  const image = new ImageData(size.width, size.height);
  image.data.fill(255);
  for (let part = 0; part < Math.max(channels, 3); part++) {
    const start = channels === 1 ? 0 : part;
    bring(
      { pixels, start, stride: width * channels, pace: channels, width, height },
      { pixels: image.data, start: part, pace: 4, ...size },
    );
  }
  return image;
}

/**
 * Labels in the colours that the log gives; else the object white, what is ignored gray, the rest black.
 *
 * @param {import("../data/types.js").LabelPicture} picture
 */
export function paintLabels({ width, height, pixels, labels }) {
  const colours = labels.map(({ colour, foreground, ignored }) =>
    pixelOf(colour ?? (ignored ? "#808080" : foreground ? "#ffffff" : "#000000")),
  );
  const size = pictureSize(width, height, MOST);
  const image = new ImageData(size.width, size.height);
  const places = new Uint8Array(size.width * size.height);
  if (height === 1 && width > size.width) {
    sortColumns({ pixels, start: 0, stride: width, width, height }, { pixels: places, start: 0, ...size }, false);
  } else {
    // Between two labels there is none: of those under a pixel, the one in the middle.
    for (let at = 0; at < places.length; at++) {
      const row = cellUnder(Math.floor(at / size.width), height, size.height);
      places[at] = pixels[row * width + cellUnder(at % size.width, width, size.width)];
    }
  }
  new Uint32Array(image.data.buffer).set(Uint32Array.from(places, (label) => colours[label] ?? pixelOf("#000000")));
  return image;
}
