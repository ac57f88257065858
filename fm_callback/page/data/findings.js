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
 * @property {string} version
 * @property {number} asked when, in milliseconds
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
  let found = known.get(run.id);
  if (!found) {
    found = { version: "", asked: -Infinity, content: signal(null) };
    known.set(run.id, found);
  }
  if (version && found.version !== version && performance.now() - found.asked > PATIENCE) {
    found.version = version;
    found.asked = performance.now();
    ask(run, version, found);
  }
  return found.content;
}

/**
 * @param {Run} run
 * @param {string} version
 * @param {Known} known
 */
async function ask(run, version, known) {
  try {
    const response = await answer("findings", [
      ["run", run.id],
      ["v", version],
    ]);
    known.content.value = /** @type {FindingsAnswer} */ (await response.json());
  } catch {
    known.version = ""; // is asked again; all else of the page goes on
  }
}

/**
 * The gravest finding about a layer that is no mere note, or undefined.
 *
 * @param {import("./types.js").Layer} layer
 */
export const troubleOf = ({ run, name }) =>
  findingsOf(run).value?.findings.find((each) => each.layer === name && each.severity !== "note");
