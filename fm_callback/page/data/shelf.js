// @ts-check
// Keeps what was used last, up to a number of bytes.

/** @template T */
export class Shelf {
  /** @param {number} room in bytes */
  constructor(room) {
    this.room = room;
    this.used = 0;
    this.items = /** @type {Map<string, {value: T, bytes: number}>} */ (new Map());
  }

  /** @param {string} key */
  has(key) {
    return this.items.has(key);
  }

  /** @param {string} key */
  get(key) {
    const item = this.items.get(key);
    if (item) {
      this.items.delete(key);
      this.items.set(key, item);
    }
    return item?.value;
  }

  /**
   * @param {string} key
   * @param {T} value
   * @param {number} bytes
   */
  put(key, value, bytes) {
    this.used += bytes - (this.items.get(key)?.bytes ?? 0);
    this.items.delete(key);
    this.items.set(key, { value, bytes });
    for (const [oldest, item] of this.items) {
      if (this.used <= this.room || oldest === key) break;
      this.items.delete(oldest);
      this.used -= item.bytes;
    }
  }
}
