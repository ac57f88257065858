// @ts-check
// A layer's channels as one picture in colours: the first three principal components of its standardised channels as
// red, green and blue (Abdi & Williams 2010). Pure: it runs beside the page, in a worker.

import { cornerOf } from "./values.js";

/** @typedef {import("../data/types.js").Range} Range */
/** @typedef {Pick<import("../data/types.js").Layer, "map" | "columns" | "channels">} Grid */
/** @typedef {{pixels: Uint8Array, width: number}} Stored the maps of one image, as they are stored */

/**
 * @typedef {object} Basis How a cell's values become a colour.
 * @property {"components" | "channels"} kind channels: there are three or fewer, which are shown as they are
 * @property {Float64Array} centre of each channel's values
 * @property {Float64Array} spread their standard deviation; 0 where a channel has no part in it
 * @property {Float64Array[]} axes for red, green and blue what a channel's standardised value counts
 * @property {Range[]} ends which value of each is dark, and which bright
 * @property {number} share of the variance of all standardised channels that the three have
 */

const MOST = 4096; // cells that a basis is reckoned of
const BATCH = 512;
const WHOLE = 64; // channels of which all components are reckoned
const BLOCK = 12; // of more, vectors that are followed at a time
const ROUNDS = 300;
const SETTLED = 1e-9;
const NOTHING = 1e-6; // variance below which a component is rounding: channels are copies of others
const DARK = 0.02; // parts of the cells that are below, and above, what the colours span
const BRIGHT = 0.98;

/**
 * The basis of a layer, of all stored images of one step. Values are `low + pixel / 255 * (high - low)`; each channel
 * is standardised by its mean and standard deviation over the cells, so what is decomposed is their matrix of
 * correlations. At most 4,096 cells, evenly apart, are taken. Of each component the channel that counts most counts
 * positively; with a basis from before, the three are turned among themselves to be as near to it as they can:
 * colours do not jump when a step comes.
 *
 * @param {Stored[]} pictures
 * @param {Grid} grid
 * @param {Range[]} ranges low and high of each channel at that step
 * @param {Basis | null} [before]
 * @returns {Basis | null} null where no channel has any contrast
 */
export function basisOf(pictures, grid, ranges, before = null) {
  const count = grid.channels.length;
  const usable = ranges.map(([low, high]) => Number.isFinite(high - low) && high > low);
  if (!usable.some(Boolean)) return null;
  if (count <= 3) return asTheyAre(ranges, usable);
  const samples = sampled(pictures, grid);
  const { centre, spread } = standardise(samples, usable);
  const live = [...spread.keys()].filter((channel) => spread[channel] > 0);
  if (!live.length) return null;
  const { axes, share } = principal(correlations(samples, live), live, count);
  const matched = before?.kind === "components" && before.centre.length === count ? match(axes, before.axes) : axes;
  const ends = matched.map((axis) => {
    const along = projected(samples, axis);
    return endsOf(along) ?? /** @type {Range} */ ([along[0] - 1, along[0] + 1]);
  });
  // From pixels to values: what is measured in pixels at this step is measured otherwise at another.
  const unit = ranges.map(([low, high], channel) => (usable[channel] ? (high - low) / 255 : 0));
  return {
    kind: "components",
    centre: centre.map((pixel, channel) => (usable[channel] ? ranges[channel][0] + pixel * unit[channel] : 0)),
    spread: spread.map((pixels, channel) => pixels * unit[channel]),
    axes: matched,
    ends,
    share,
  };
}

/**
 * Three channels or fewer, in one range, so that one that hardly changes is not made to look as if it did. One is gray;
 * of two, the first is red and the second cyan.
 *
 * @param {Range[]} ranges
 * @param {boolean[]} usable
 * @returns {Basis}
 */
function asTheyAre(ranges, usable) {
  const count = ranges.length;
  const known = ranges.filter((_, channel) => usable[channel]);
  const ends = /** @type {Range} */ ([
    Math.min(...known.map(([low]) => low)),
    Math.max(...known.map(([, high]) => high)),
  ]);
  const shown = [0, Math.min(1, count - 1), count - 1];
  const axes = shown.map((channel) => Float64Array.from({ length: count }, (_, each) => Number(each === channel)));
  return {
    kind: "channels",
    centre: new Float64Array(count),
    spread: Float64Array.from(usable, (is) => Number(is)),
    axes,
    ends: axes.map(() => ends),
    share: 1,
  };
}

/**
 * Cells evenly apart, over all images: for each channel its pixels.
 *
 * @param {Stored[]} pictures
 * @param {Grid} grid
 */
function sampled(pictures, grid) {
  const [height, width] = grid.map;
  const size = height * width;
  const apart = stride(size * pictures.length, width);
  const cells = Math.ceil((size * pictures.length) / apart);
  return grid.channels.map((_, place) => {
    const corner = cornerOf(grid, place);
    const found = new Float64Array(cells);
    for (let index = 0; index < cells; index++) {
      const at = index * apart;
      const picture = pictures[Math.floor(at / size)];
      const cell = at % size;
      found[index] = picture.pixels[corner + Math.floor(cell / width) * picture.width + (cell % width)];
    }
    return found;
  });
}

/**
 * How far apart cells are taken: no divisor of the width, or all would lie in few columns.
 *
 * @param {number} cells
 * @param {number} width
 */
function stride(cells, width) {
  const common = (/** @type {number} */ a, /** @type {number} */ b) => {
    while (b) [a, b] = [b, a % b];
    return a;
  };
  let apart = Math.max(1, Math.ceil(cells / MOST));
  while (apart > 1 && common(apart, width) > 1) apart++;
  return apart;
}

/**
 * Makes each channel's samples their deviations in standard deviations; one without any, and one that can't be used,
 * are made zeros.
 *
 * @param {Float64Array[]} samples
 * @param {boolean[]} usable
 */
function standardise(samples, usable) {
  const centre = new Float64Array(samples.length);
  const spread = new Float64Array(samples.length);
  samples.forEach((cells, channel) => {
    if (usable[channel]) {
      let sum = 0;
      for (const pixel of cells) sum += pixel;
      centre[channel] = sum / cells.length;
      let squares = 0;
      for (const pixel of cells) squares += (pixel - centre[channel]) ** 2;
      spread[channel] = Math.sqrt(squares / cells.length);
    }
    const by = spread[channel] || Infinity;
    for (let index = 0; index < cells.length; index++) cells[index] = (cells[index] - centre[channel]) / by;
  });
  return { centre, spread };
}

/**
 * @param {Float64Array[]} samples standardised
 * @param {number[]} live the channels that are taken
 */
function correlations(samples, live) {
  const matrix = live.map(() => new Float64Array(live.length));
  // In blocks of cells that the processor keeps at hand.
  const cells = samples[0].length;
  for (let from = 0; from < cells; from += BATCH) {
    const to = Math.min(from + BATCH, cells);
    for (let row = 0; row < live.length; row++) {
      const one = samples[live[row]];
      for (let column = row; column < live.length; column++) {
        const two = samples[live[column]];
        let sum = 0;
        for (let index = from; index < to; index++) sum += one[index] * two[index];
        matrix[row][column] += sum / cells;
      }
    }
  }
  for (let row = 0; row < live.length; row++) {
    for (let column = 0; column < row; column++) matrix[row][column] = matrix[column][row];
  }
  return matrix;
}

/**
 * The first three principal axes, over all channels, and the share of variance that they have. One that has none is
 * zeros.
 *
 * @param {Float64Array[]} matrix
 * @param {number[]} live
 * @param {number} count
 */
function principal(matrix, live, count) {
  const { values, vectors } = largest(matrix);
  const axes = [0, 1, 2].map((index) => {
    const axis = new Float64Array(count);
    const vector = vectors[index];
    if (!vector || values[index] < NOTHING) return axis;
    const most = vector.reduce((best, value) => (Math.abs(value) > Math.abs(best) + 1e-6 ? value : best), 0);
    for (const [place, channel] of live.entries()) axis[channel] = most < 0 ? -vector[place] : vector[place];
    return axis;
  });
  const three = values.slice(0, 3).reduce((sum, value) => sum + value, 0);
  return { axes, share: three / live.length };
}

/**
 * The largest eigenvalues of a symmetric matrix with their vectors, falling: by subspace iteration, where it is larger
 * than the subspace (Golub & Van Loan, Matrix Computations, 8.2).
 *
 * @param {Float64Array[]} matrix
 */
function largest(matrix) {
  const size = matrix.length;
  if (size <= WHOLE) return jacobi(matrix);
  const width = BLOCK;
  let seed = 1;
  const random = () => {
    seed = (seed * 48271) % 2147483647;
    return seed / 2147483647 - 0.5;
  };
  let basis = Array.from({ length: width }, () => Float64Array.from({ length: size }, () => random()));
  orthonormalise(basis);
  let values = /** @type {number[]} */ ([]);
  for (let round = 0; round < ROUNDS; round++) {
    const images = basis.map((vector) => matrix.map((row) => dot(row, vector)));
    const small = basis.map((vector) => Float64Array.from(images, (image) => dot(vector, image)));
    const inside = jacobi(small);
    const turn = (/** @type {ArrayLike<number>[]} */ vectors) =>
      inside.vectors.map((mix) =>
        Float64Array.from({ length: size }, (_, place) => {
          let sum = 0;
          for (let index = 0; index < width; index++) sum += mix[index] * vectors[index][place];
          return sum;
        }),
      );
    const turned = turn(basis);
    const next = turn(images);
    values = inside.values;
    const off = Math.max(
      ...[0, 1, 2].map((index) =>
        Math.sqrt(next[index].reduce((sum, value, at) => sum + (value - values[index] * turned[index][at]) ** 2, 0)),
      ),
    );
    basis = turned;
    if (off < SETTLED * size) break;
    basis = next;
    orthonormalise(basis);
  }
  return { values, vectors: basis };
}

/**
 * @param {ArrayLike<number>} one
 * @param {ArrayLike<number>} two
 */
function dot(one, two) {
  let sum = 0;
  for (let index = 0; index < one.length; index++) sum += one[index] * two[index];
  return sum;
}

/** @param {Float64Array[]} vectors */
function orthonormalise(vectors) {
  vectors.forEach((vector, index) => {
    for (let twice = 0; twice < 2; twice++) {
      for (const other of vectors.slice(0, index)) {
        const along = dot(vector, other);
        for (let place = 0; place < vector.length; place++) vector[place] -= along * other[place];
      }
    }
    const length = Math.sqrt(dot(vector, vector)) || 1;
    for (let place = 0; place < vector.length; place++) vector[place] /= length;
  });
}

/**
 * All eigenvalues of a small symmetric matrix, falling, with their vectors: Jacobi's rotations.
 *
 * @param {Float64Array[]} given
 */
function jacobi(given) {
  const size = given.length;
  const matrix = given.map((row) => Float64Array.from(row));
  const vectors = matrix.map((_, row) => Float64Array.from({ length: size }, (_, column) => Number(row === column)));
  for (let sweep = 0; sweep < 60; sweep++) {
    let off = 0;
    for (let p = 0; p < size; p++) for (let q = p + 1; q < size; q++) off += matrix[p][q] ** 2;
    if (off < 1e-18) break;
    for (let p = 0; p < size; p++) for (let q = p + 1; q < size; q++) rotate(matrix, vectors, p, q);
  }
  const order = [...matrix.keys()].sort((a, b) => matrix[b][b] - matrix[a][a]);
  return { values: order.map((each) => matrix[each][each]), vectors: order.map((each) => vectors[each]) };
}

/**
 * @param {Float64Array[]} matrix
 * @param {Float64Array[]} vectors
 * @param {number} p
 * @param {number} q
 */
function rotate(matrix, vectors, p, q) {
  if (Math.abs(matrix[p][q]) < SETTLED * SETTLED) return;
  const theta = (matrix[q][q] - matrix[p][p]) / (2 * matrix[p][q]);
  const tangent = (theta < 0 ? -1 : 1) / (Math.abs(theta) + Math.hypot(theta, 1));
  const cosine = 1 / Math.hypot(tangent, 1);
  const sine = tangent * cosine;
  for (const row of matrix) {
    const [one, two] = [row[p], row[q]];
    row[p] = cosine * one - sine * two;
    row[q] = sine * one + cosine * two;
  }
  for (const rows of [matrix, vectors]) {
    const [high, low] = [rows[p], rows[q]];
    for (let k = 0; k < high.length; k++) {
      const [one, two] = [high[k], low[k]];
      high[k] = cosine * one - sine * two;
      low[k] = sine * one + cosine * two;
    }
  }
}

/**
 * Axes turned within the space that they span until they are as near to those before as they can be (orthogonal
 * Procrustes, Schönemann 1966).
 *
 * @param {Float64Array[]} axes
 * @param {Float64Array[]} before
 */
function match(axes, before) {
  const likeness = axes.map((axis) => Float64Array.from(before, (old) => dot(axis, old)));
  const gram = before.map((_, row) =>
    Float64Array.from(before, (_, column) => likeness.reduce((sum, line) => sum + line[row] * line[column], 0)),
  );
  const { values, vectors } = jacobi(gram);
  if (!(values[2] > 1e-9)) return axes;
  return before.map((_, column) => {
    const turned = new Float64Array(axes[0].length);
    axes.forEach((axis, row) => {
      let part = 0;
      vectors.forEach((vector, each) => {
        part += (dot(likeness[row], vector) * vector[column]) / Math.sqrt(values[each]);
      });
      for (let place = 0; place < turned.length; place++) turned[place] += part * axis[place];
    });
    return turned;
  });
}

/**
 * @param {Float64Array[]} samples standardised
 * @param {Float64Array} axis
 */
function projected(samples, axis) {
  const along = new Float64Array(samples[0].length);
  samples.forEach((cells, channel) => {
    const weight = axis[channel];
    if (weight) for (let index = 0; index < cells.length; index++) along[index] += weight * cells[index];
  });
  return along;
}

/**
 * @param {Float64Array | Float32Array} along
 * @returns {Range | null} null where there is no contrast
 */
function endsOf(along) {
  along.sort();
  const at = (/** @type {number} */ part) => {
    const place = part * (along.length - 1);
    const below = Math.floor(place);
    return along[below] + (place - below) * (along[Math.min(below + 1, along.length - 1)] - along[below]);
  };
  const [low, high] = [at(DARK), at(BRIGHT)];
  return high > low ? [low, high] : null;
}

/**
 * How alike a layer's channels are: Pearson's correlation of each two over the cells of all images, as for a basis. 0
 * with one that has no contrast.
 *
 * @param {Stored[]} pictures
 * @param {Grid} grid
 * @param {Range[]} ranges
 */
export function correlationsOf(pictures, grid, ranges) {
  const samples = sampled(pictures, grid);
  standardise(
    samples,
    ranges.map(([low, high]) => Number.isFinite(high - low) && high > low),
  );
  return correlations(samples, [...samples.keys()]);
}

/**
 * One image's maps, at any step, in the colours of a basis: RGBA, a pixel a cell. What is not finite counts as the
 * channel's mean.
 *
 * @param {Stored} picture
 * @param {Grid} grid
 * @param {Range[]} ranges low and high of each channel at the picture's step
 * @param {Basis} basis
 * @param {boolean} own whether each component goes from the 2nd to the 98th percentile of this picture, and not of the
 *   step that the basis is of, as it does where it has no contrast in this picture, so that a map of one cell has a
 *   colour, too; three channels or fewer are as they are
 */
export function colours(picture, grid, ranges, { kind, centre, spread, axes, ends }, own) {
  const [height, width] = grid.map;
  const apart = stride(height * width, width);
  const parts = axes.map((axis, part) => {
    const along = new Float32Array(height * width);
    ranges.forEach(([least, most], place) => {
      const by = spread[place] ? axis[place] / spread[place] : 0;
      if (by && Number.isFinite(most - least)) {
        add(along, picture, cornerOf(grid, place), width, (by * (most - least)) / 255, by * (least - centre[place]));
      }
    });
    const alone = own && kind === "components" ? endsOf(along.filter((_, cell) => cell % apart === 0)) : null;
    const [low, high] = alone ?? ends[part];
    const scale = 255 / (high - low);
    return along.map((value) => (value - low) * scale);
  });
  const result = new Uint8ClampedArray(4 * height * width);
  for (let cell = 0; cell < height * width; cell++) {
    for (let part = 0; part < 3; part++) result[4 * cell + part] = parts[part][cell];
    result[4 * cell + 3] = 255;
  }
  return result;
}

/**
 * Adds `by * pixel + offset` of a map to each cell.
 *
 * @param {Float32Array} cells
 * @param {Stored} picture
 * @param {number} corner
 * @param {number} width
 * @param {number} by
 * @param {number} offset
 */
function add(cells, { pixels, width: line }, corner, width, by, offset) {
  for (let start = 0, from = corner; start < cells.length; start += width, from += line) {
    for (let x = 0; x < width; x++) cells[start + x] += by * pixels[from + x] + offset;
  }
}

/**
 * How like each cell is to one of them: the cosine between their standardised channels, from -1 to 1. Channels are
 * standardised by their own mean and standard deviation at the picture's step; what has none, or is not finite, is left
 * out.
 *
 * @param {Stored} picture
 * @param {Grid} grid
 * @param {Range[]} ranges
 * @param {{mean: number, std: number}[]} moments of each channel, over all images of the probe
 * @param {{x: number, y: number}} place from 0 to 1 across and down the map
 */
export function alike(picture, grid, ranges, moments, place) {
  const [height, width] = grid.map;
  const cell =
    Math.min(Math.floor(place.y * height), height - 1) * width + Math.min(Math.floor(place.x * width), width - 1);
  const products = new Float32Array(height * width);
  const squares = new Float32Array(height * width);
  const one = new Float32Array(height * width);
  ranges.forEach(([low, high], channel) => {
    const { mean, std } = moments[channel];
    if (!Number.isFinite((high - low) / std + mean) || high <= low) return;
    one.fill(0);
    add(one, picture, cornerOf(grid, channel), width, (high - low) / 255 / std, (low - mean) / std);
    const here = one[cell];
    for (let at = 0; at < one.length; at++) {
      products[at] += here * one[at];
      squares[at] += one[at] * one[at];
    }
  });
  const own = squares[cell];
  return products.map((product, at) => product / (Math.sqrt(own * squares[at]) || 1));
}
