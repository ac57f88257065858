// @ts-check
// PNG to bytes, without a canvas: browsers that guard against fingerprinting alter what is read back from one.

const SIGNATURE = [137, 80, 78, 71, 13, 10, 26, 10];
// By PNG's kind of colour: gray, colours, palette, gray with alpha, colours with alpha.
const CHANNELS = /** @type {Record<number, number>} */ ({ 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 });

/**
 * @typedef {object} Decoded
 * @property {number} width
 * @property {number} height
 * @property {number} channels 1 for gray and palette, 2 with alpha, 3 for colours, 4 with alpha
 * @property {Uint8Array} pixels row by row; with a palette, positions in it
 * @property {Uint8Array | null} palette three bytes a colour
 */

/**
 * Decodes a picture of 8 bits a channel that is not interlaced.
 *
 * @param {Uint8Array} png
 * @param {(head: {width: number, height: number, channels: number}) => boolean} expected whether a picture of this
 *   size may be here; asked before anything is unpacked, because a small file can claim to be a large picture
 * @returns {Promise<Decoded>}
 */
export async function decode(png, expected) {
  const { width, height, channels, palette, parts } = read(png);
  if (!expected({ width, height, channels })) throw new Error("a picture of another size");
  const stride = width * channels;
  const rows = await inflate(parts, height * (1 + stride));
  return { width, height, channels, palette, pixels: unfiltered(rows, height, stride, channels) };
}

/** @param {Uint8Array} png */
function read(png) {
  if (SIGNATURE.some((byte, index) => png[index] !== byte)) throw new Error("no PNG");
  const view = new DataView(png.buffer, png.byteOffset, png.byteLength);
  const parts = [];
  let head = /** @type {ReturnType<typeof readHead> | null} */ (null);
  let palette = /** @type {Uint8Array | null} */ (null);
  for (let from = SIGNATURE.length; from + 8 <= png.length; ) {
    const length = view.getUint32(from);
    const kind = String.fromCharCode(...png.subarray(from + 4, from + 8));
    const data = png.subarray(from + 8, from + 8 + length);
    if (data.length < length) throw new Error("cut off");
    if (kind === "IHDR") head = readHead(data);
    else if (kind === "PLTE") palette = data;
    else if (kind === "IDAT") parts.push(data);
    else if (kind === "IEND") break;
    from += 12 + length;
  }
  if (!head || !parts.length) throw new Error("no picture in it");
  return { ...head, palette, parts };
}

/** @param {Uint8Array} data */
function readHead(data) {
  if (data.length < 13) throw new Error("cut off");
  const view = new DataView(data.buffer, data.byteOffset, data.length);
  const [depth, colour, , , interlaced] = data.subarray(8);
  const channels = CHANNELS[colour];
  if (depth !== 8 || !channels || interlaced) throw new Error("a kind of PNG that is not read here");
  return { width: view.getUint32(0), height: view.getUint32(4), channels };
}

/**
 * Unpacks exactly `size` bytes, and never more.
 *
 * @param {Uint8Array[]} parts
 * @param {number} size
 */
async function inflate(parts, size) {
  const result = new Uint8Array(size);
  const stream = new DecompressionStream("deflate");
  const writer = stream.writable.getWriter();
  const reader = stream.readable.getReader();
  const written = (async () => {
    for (const part of parts) await writer.write(/** @type {BufferSource} */ (part));
    await writer.close();
  })();
  written.catch(() => {}); // the reader says so
  let filled = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    if (filled + value.length > size) {
      await reader.cancel();
      throw new Error("more than its size");
    }
    result.set(value, filled);
    filled += value.length;
  }
  if (filled < size) throw new Error("less than its size");
  return result;
}

/**
 * Undoes PNG's filters, in the place of the rows, which move together: each row says in its first byte how its others
 * were reckoned from their neighbours.
 *
 * @param {Uint8Array} rows
 * @param {number} height
 * @param {number} stride bytes a row
 * @param {number} channels bytes a pixel
 */
function unfiltered(rows, height, stride, channels) {
  const result = rows.subarray(0, height * stride);
  for (let row = 0; row < height; row++) {
    const from = row * (1 + stride) + 1;
    const to = row * stride;
    const up = to - stride,
      filter = rows[from - 1];
    const line = result.subarray(to, to + stride);
    rows.copyWithin(to, from, from + stride);
    if (filter === 1) {
      for (let x = channels; x < stride; x++) line[x] += line[x - channels];
    } else if (filter === 2) {
      if (row) for (let x = 0; x < stride; x++) line[x] += result[up + x];
    } else if (filter === 3) {
      for (let x = 0; x < stride; x++) {
        line[x] += ((x < channels ? 0 : line[x - channels]) + (row ? result[up + x] : 0)) >> 1;
      }
    } else if (filter === 4) {
      for (let x = 0; x < stride; x++) {
        const left = x < channels ? 0 : line[x - channels];
        const above = row ? result[up + x] : 0;
        line[x] += paeth(left, above, row && x >= channels ? result[up + x - channels] : 0);
      }
    } else if (filter) {
      throw new Error("a filter that PNG has not");
    }
  }
  return result;
}

/**
 * @param {number} left
 * @param {number} above
 * @param {number} corner
 */
function paeth(left, above, corner) {
  const guess = left + above - corner;
  const byLeft = Math.abs(guess - left);
  const byAbove = Math.abs(guess - above);
  const byCorner = Math.abs(guess - corner);
  if (byLeft <= byAbove && byLeft <= byCorner) return left;
  return byAbove <= byCorner ? above : corner;
}
