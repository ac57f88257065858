// @ts-check
// The page's end of the worker: asks it, and hears its answers. Where a page may have no worker, the work is done here.

import { addressOf, load } from "./files.js";

/** @typedef {typeof import("../draw/components.js")} Work */

const asked = /** @type {Map<number, {resolve: (found: any) => void, reject: (wrong: Error) => void}>} */ (new Map());
let count = 0;
let /** @type {Worker | null | undefined} */ worker;

/**
 * What a function of `draw/components.js` gives.
 *
 * @template {"alike" | "basisOf" | "colours" | "correlationsOf"} Name
 * @param {Name} name
 * @param {Parameters<Work[Name]>} given
 * @returns {Promise<ReturnType<Work[Name]>>}
 */
export async function reckon(name, ...given) {
  worker ??= await started();
  if (!worker) {
    const work = /** @type {any} */ (await load("draw/components.js"));
    return work[name](...given);
  }
  const id = count++;
  worker.postMessage({ id, name, given });
  return new Promise((resolve, reject) => asked.set(id, { resolve, reject }));
}

// The worker is started before it is needed.
export const warmUp = () => void started();

let /** @type {Promise<Worker | null> | null} */ starting = null;

// It says itself that it runs: a browser may take the address and refuse the file later.
function started() {
  starting ??= new Promise((resolve) => {
    try {
      const made = new Worker(addressOf("draw/worker.js"), { type: "module" });
      made.onerror = () => resolve(null);
      made.onmessage = ({ data: { id, found, wrong } }) => {
        if (id === undefined) return resolve(made);
        const one = asked.get(id);
        asked.delete(id);
        if (wrong) one?.reject(new Error(wrong));
        else one?.resolve(found);
      };
    } catch {
      resolve(null);
    }
  });
  return starting;
}
