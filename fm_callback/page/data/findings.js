// @ts-check
// What stands out in a run, as the server says: asked for anew when steps come, and not too often.

import { signal } from "../vendor/signals.js";
import { answer } from "./source.js";

/** @typedef {import("./types.js").Run} Run */
/** @typedef {import("./types.js").FindingsAnswer} FindingsAnswer */
/** @typedef {import("./types.js").Finding} Finding */

const PATIENCE = 10000; // milliseconds between two questions about a growing run

/**
 * @typedef {object} Known
 * @property {Run} run
 * @property {string} wanted which state of the run is asked for, or was
 * @property {number} asked when, in milliseconds
 * @property {number} timer of a question that waits; 0 for none
 * @property {import("../vendor/signals.js").Signal<FindingsAnswer | null>} content
 */

const known = /** @type {Map<string, Known>} */ (new Map());

/**
 * A signal of the findings of a run; null until they are here, or where nobody looks for any.
 *
 * @param {Run} run
 */
export function findingsOf(run) {
  const last = run.steps.at(-1);
  const version = last === undefined ? "" : `${run.versions.get(last)}-${last}`;
  const found = known.get(run.id) ?? { run, wanted: "", asked: -Infinity, timer: 0, content: signal(null) };
  known.set(run.id, found);
  if (version && found.wanted !== version) {
    found.run = run;
    found.wanted = version;
    found.timer ||= setTimeout(() => ask(found), Math.max(found.asked + PATIENCE - performance.now(), 0));
  }
  return found.content;
}

/** @param {Known} known */
async function ask(known) {
  const { run, wanted } = known;
  known.timer = 0;
  known.asked = performance.now();
  try {
    const response = await answer("findings", [
      ["run", run.id],
      ["v", wanted],
    ]);
    known.content.value = /** @type {FindingsAnswer} */ (await response.json());
  } catch {
    if (known.wanted === wanted) known.wanted = ""; // is asked again; all else of the page goes on
  }
}

/**
 * The gravest finding about a layer that is no mere note, or undefined.
 *
 * @param {import("./types.js").Layer} layer
 */
export const troubleOf = ({ run, name }) =>
  findingsOf(run).value?.findings.find((each) => each.layer === name && each.severity !== "note");
