// @ts-check
// A queue of pictures that are wanted: several requests in flight, what is on the screen first, decoded once, kept
// while there is room.

import { Shelf } from "./shelf.js";

/** @typedef {import("./types.js").Wish} Wish */
/** @typedef {import("./types.js").Picture} Picture */
/** @typedef {(result: Picture | Error) => void} Listener */
/** @typedef {Wish & {listeners: Set<Listener>, started: boolean, wave: number}} Item */

/**
 * What comes of a request, by key: a PNG, null where there is none, nothing where it did not fit into the answer.
 *
 * @typedef {Map<string, Uint8Array | null>} Found
 */

const IN_FLIGHT = 6;
const BUNDLE = 24;
const FIRST = 12; // what is waited for comes in smaller parts
const AT_ONCE = 4;
const LONGEST = 4000; // of an address
const SOON = 3; // so many of the steps to come are decoded, too, while nothing else is to be done

const MEGABYTE = 2 ** 20;

export class Requests {
  /**
   * @param {object} given
   * @param {(wishes: Wish[]) => Promise<Found>} given.fetch pictures of one run and image, in one request
   * @param {(wish: Wish, png: Uint8Array) => Promise<Picture>} given.decode
   * @param {(count: number) => void} [given.onWait] so many pictures are waited for
   */
  constructor({ fetch, decode, onWait = () => {} }) {
    this.fetch = fetch;
    this.decode = decode;
    this.onWait = onWait;
    this.pngs = /** @type {Shelf<Uint8Array>} */ (new Shelf(256 * MEGABYTE));
    this.pictures = /** @type {Shelf<Picture>} */ (new Shelf(192 * MEGABYTE));
    this.urgent = /** @type {Map<string, Item>} */ (new Map()); // what someone is waiting for
    this.ahead = /** @type {Map<string, Wish>} */ (new Map()); // what may be wanted next
    this.soon = /** @type {Wish[]} */ ([]); // of these, what is decoded in advance
    this.flying = new Set(); // keys on their way, for whomever
    this.arrived = /** @type {{item: Item, png: Uint8Array}[]} */ ([]);
    this.inFlight = 0;
    this.decoding = 0;
    this.wave = 1; // wishes of one moment are a wave
    this.scheduled = false;
    this.preparing = false;
  }

  /**
   * A decoded picture, if it is here.
   *
   * @param {Wish} wish
   */
  ready(wish) {
    return this.pictures.get(wish.key);
  }

  /**
   * Calls back with a decoded picture, or with an Error. Returns a function that withdraws the wish.
   *
   * @param {Wish} wish
   * @param {Listener} listener
   */
  want(wish, listener) {
    const { key } = wish;
    const found = this.pictures.get(key);
    if (found) {
      listener(found);
      return () => {};
    }
    let item = this.urgent.get(key);
    if (!item) {
      item = { ...wish, listeners: new Set(), started: this.flying.has(key), wave: this.wave };
      this.urgent.set(key, item);
      this.ahead.delete(key);
      this.onWait(this.urgent.size);
    }
    item.listeners.add(listener);
    if (!item.started) this.start(item);
    return () => {
      item.listeners.delete(listener);
      if (!item.listeners.size && !item.started && this.urgent.get(key) === item) {
        this.urgent.delete(key);
        this.onWait(this.urgent.size);
      }
    };
  }

  /**
   * Fetches what may be wanted next, when nothing more urgent is waiting; forgets what earlier calls wished.
   *
   * @param {Wish[][]} steps for each step, the next one first, its pictures
   */
  prefetch(steps) {
    this.soon = steps.slice(0, SOON).flat();
    this.ahead = new Map();
    for (const wish of steps.flat()) {
      if (!this.pngs.has(wish.key) && !this.urgent.has(wish.key)) this.ahead.set(wish.key, wish);
    }
    this.schedule();
    this.decodeSoon();
  }

  /** @param {Item} item */
  start(item) {
    const png = this.pngs.get(item.key);
    if (png) {
      item.started = true;
      this.deliver(item, png);
    } else {
      this.schedule();
    }
  }

  schedule() {
    if (this.scheduled) return;
    this.scheduled = true;
    queueMicrotask(() => {
      this.scheduled = false;
      this.wave++;
      while (this.inFlight < IN_FLIGHT) {
        const wishes = this.next();
        if (!wishes.length) return;
        this.send(wishes);
      }
    });
  }

  next() {
    const waiting = [...this.urgent.values()].filter((item) => !item.started && !this.flying.has(item.key));
    if (waiting.length) {
      const newest = Math.max(...waiting.map((item) => item.wave));
      return choose(/** @type {Item} */ (waiting.find((item) => item.wave === newest)), waiting, FIRST);
    }
    const ahead = [...this.ahead.values()].filter((wish) => !this.flying.has(wish.key));
    return ahead.length && this.inFlight < IN_FLIGHT / 2 ? choose(ahead[0], ahead, BUNDLE) : [];
  }

  /** @param {Wish[]} wishes */
  async send(wishes) {
    for (const { key } of wishes) {
      const item = this.urgent.get(key);
      if (item) item.started = true;
      this.ahead.delete(key);
      this.flying.add(key);
    }
    this.inFlight++;
    let /** @type {Found | Error} */ found;
    try {
      found = await this.fetch(wishes);
    } catch (error) {
      found = /** @type {Error} */ (error);
    }
    this.inFlight--;
    for (const { key } of wishes) this.flying.delete(key);
    // An answer without anything for which there was room would be asked for again for ever.
    if (!(found instanceof Error) && !found.size) found = new Error("The answer holds no picture.");
    for (const { key } of wishes) this.land(key, found);
    this.schedule();
    this.decodeSoon();
  }

  /**
   * @param {string} key
   * @param {Found | Error} found
   */
  land(key, found) {
    const item = this.urgent.get(key);
    const png = found instanceof Error ? null : found.get(key);
    if (png) this.pngs.put(key, png, png.length);
    if (!item) return;
    if (png) this.deliver(item, png);
    else if (png === undefined)
      item.started = false; // the next request is for it
    else this.finish(item, found instanceof Error ? found : new Error("The log holds no picture here."));
  }

  /**
   * A few are decoded at a time, in the order of the page, so that its first row does not wait for its last.
   *
   * @param {Item} item
   * @param {Uint8Array} png
   */
  deliver(item, png) {
    this.arrived.push({ item, png });
    while (this.decoding < AT_ONCE && this.arrived.length) this.decodeNext();
  }

  async decodeNext() {
    const newest = Math.max(...this.arrived.map(({ item }) => item.wave));
    const [{ item, png }] = this.arrived.splice(
      this.arrived.findIndex(({ item }) => item.wave === newest),
      1,
    );
    if (!item.listeners.size) return this.finish(item, new Error("Nobody waits for it any more."));
    this.decoding++;
    const result = await this.decoded(item, png);
    this.decoding--;
    this.finish(item, result);
    while (this.decoding < AT_ONCE && this.arrived.length) this.decodeNext();
  }

  /**
   * @param {Wish} wish
   * @param {Uint8Array} png
   */
  async decoded(wish, png) {
    try {
      const picture = await this.decode(wish, png);
      this.pictures.put(wish.key, picture, picture.pixels.length);
      return picture;
    } catch {
      return new Error("The picture is damaged.");
    }
  }

  /**
   * @param {Item} item
   * @param {Picture | Error} result
   */
  finish(item, result) {
    if (this.urgent.get(item.key) === item) this.urgent.delete(item.key);
    this.onWait(this.urgent.size);
    for (const listener of item.listeners) listener(result);
    if (!this.urgent.size) this.decodeSoon();
  }

  async decodeSoon() {
    if (this.preparing) return;
    this.preparing = true;
    const { soon } = this;
    for (const wish of soon) {
      const png = this.pngs.items.get(wish.key)?.value;
      if (!png || this.pictures.get(wish.key)) continue;
      if (this.urgent.size || soon !== this.soon) break;
      await this.decoded(wish, png);
    }
    this.preparing = false;
    if (soon !== this.soon && !this.urgent.size) this.decodeSoon();
  }
}

/**
 * What goes into one request: the first wish's layer at the steps that are wanted of it, and further layers of which
 * the same steps are wanted. So a page fills from its top, a film comes as one layer, and a new step of many layers as
 * one bundle.
 *
 * @param {Wish} first
 * @param {Wish[]} waiting
 * @param {number} most
 */
export function choose(first, waiting, most) {
  const byLayer = /** @type {Map<string, Wish[]>} */ (new Map());
  for (const wish of waiting) {
    // A request has one version, under which its answer may be kept.
    if (wish.layer.run.id !== first.layer.run.id || wish.image !== first.image || wish.version !== first.version)
      continue;
    const wishes = byLayer.get(wish.layer.name) ?? [];
    byLayer.set(wish.layer.name, wishes);
    wishes.push(wish);
  }
  const chosen = (byLayer.get(first.layer.name) ?? []).slice(0, most);
  const steps = chosen.map((wish) => wish.step);
  byLayer.delete(first.layer.name);
  let length = lengthOf(first);
  for (const wishes of byLayer.values()) {
    const same = wishes.filter((wish) => steps.includes(wish.step));
    length += lengthOf(wishes[0]);
    if (chosen.length + steps.length > most || length > LONGEST) break;
    if (same.length === steps.length) chosen.push(...same);
  }
  return chosen;
}

/** @param {Wish} wish */
const lengthOf = (wish) => encodeURIComponent(wish.layer.name).length + 7;
