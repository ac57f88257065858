// From stored pixels to colours. A pixel says where between its own map's low and high a value lies; which values are dark and which
// bright is decided here, so that changing the scale needs nothing from the server.

const STOPS = {
  gray: ["000000", "ffffff"],
  viridis: ["440154", "482878", "3e4a89", "31688e", "26828e", "1f9e89", "35b779", "6ece58", "b5de2b", "fde725"],
  diverging: ["08306b", "2171b5", "6baed6", "c6dbef", "f7f7f7", "fdd0a2", "fd8d3c", "d94801", "7f2704"],
};

export const MAPS = Object.fromEntries(Object.entries(STOPS).map(([name, stops]) => [name, table(stops.map(rgb))]));

const identities = new Map(Object.entries(MAPS));

function rgb(hex) {
  return [0, 2, 4].map((at) => parseInt(hex.slice(at, at + 2), 16));
}

// 256 colours as 32-bit pixels.
function table(stops) {
  return Uint32Array.from({ length: 256 }, (_, level) => {
    const at = (level / 255) * (stops.length - 1),
      below = Math.min(Math.floor(at), stops.length - 2);
    const [red, green, blue] = stops[below].map((low, part) =>
      Math.round(low + (at - below) * (stops[below + 1][part] - low)),
    );
    return pixel(red, green, blue);
  });
}

export function pixel(red, green, blue) {
  return ((255 << 24) | (blue << 16) | (green << 8) | red) >>> 0;
}

export function pixelOf(css) {
  const context = new OffscreenCanvas(1, 1).getContext("2d");
  context.fillStyle = css;
  context.fillRect(0, 0, 1, 1);
  return pixel(...context.getImageData(0, 0, 1, 1).data);
}

// What a colour bar shows from end to end: the range itself, or, for the diverging map, the same on either side of zero.
export function shown(colour, [low, high]) {
  if (colour !== "diverging") return [low, high];
  const most = Math.max(Math.abs(low), Math.abs(high));
  return [-most, most];
}

// The colour of each of the 256 levels of a map that was stored between `own`, shown on a scale over `range`.
export function levels(colour, own, range) {
  const colours = MAPS[colour];
  const [low, high] = shown(colour, range);
  if (low === own[0] && high === own[1]) return identities.get(colour);
  const result = new Uint32Array(256),
    width = high - low || 1;
  for (let level = 0; level < 256; level++) {
    const value = own[0] + (level / 255) * (own[1] - own[0]);
    result[level] = colours[Math.min(Math.max(Math.round((255 * (value - low)) / width), 0), 255) || 0];
  }
  return result;
}
