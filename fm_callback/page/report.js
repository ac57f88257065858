// @ts-check
// The door from a report, a page with its log inside: `read/report.py` says what is held. Asks no server, keeps
// nothing, and touches nothing of a page around it; it may be alone in a file or in a frame of a notebook.

import { start } from "./main.js";

/**
 * What the report holds by a key: a question, and what it is of.
 *
 * @typedef {(...key: (string | number)[]) => Promise<Uint8Array | null>} Held
 */

/** @param {{held: Held, files: (path: string) => string}} given */
export async function render({ held, files }) {
  await start({ ask: answers(held), host: host(), files });
}

/**
 * @param {Held} held
 * @returns {import("./data/types.js").Ask}
 */
function answers(held) {
  return async (route, parameters) => {
    const all = (/** @type {string} */ name) => parameters.filter(([key]) => key === name).map(([, value]) => value);
    const one = (/** @type {string} */ name, fallback = /** @type {string | number} */ ("")) =>
      all(name)[0] ?? fallback;
    const run = one("run");
    const found = await {
      runs: () => held("runs"),
      numbers: async () =>
        joined(await Promise.all(all("layer").map((layer) => held("numbers", run, layer, one("after"))))),
      summaries: () => held("summaries", run, one("after")),
      scores: () => held("scores", run, one("after")),
      findings: () => held("findings", run),
      bundle: () => bundle(held, run, all("layer"), all("step"), one("image", 0)),
      prediction: () => held("prediction", run, one("step"), one("image", 0)),
      probe: () => held("probe", run, one("kind"), one("image", 0)),
    }[route]?.();
    return found
      ? new Response(/** @type {BodyInit} */ (found))
      : new Response("it is not in this report", { status: 404 });
  };
}

/**
 * @param {Held} held
 * @param {string | number} run
 * @param {(string | number)[]} layers
 * @param {(string | number)[]} steps
 * @param {string | number} image
 */
async function bundle(held, run, layers, steps, image) {
  const asked = layers.flatMap((layer) => steps.map((step) => ({ layer, step: Number(step) })));
  const pngs = await Promise.all(asked.map(({ layer, step }) => held("maps", run, layer, step, image)));
  return framed(
    asked.map((each, index) => ({ ...each, size: pngs[index]?.length ?? null })),
    pngs.filter((png) => png !== null),
  );
}

/**
 * Frames of one layer each as frames of all.
 *
 * @param {(Uint8Array | null)[]} parts
 */
function joined(parts) {
  const heads = /** @type {object[]} */ ([]);
  const bodies = /** @type {Uint8Array[]} */ ([]);
  for (const part of parts) {
    if (!part) return null;
    const end = 4 + new DataView(part.buffer, part.byteOffset).getUint32(0, true);
    heads.push(...JSON.parse(new TextDecoder().decode(part.subarray(4, end))));
    bodies.push(part.subarray(end));
  }
  return framed(heads, bodies);
}

/**
 * @param {unknown} heads
 * @param {Uint8Array[]} bodies
 */
function framed(heads, bodies) {
  const head = new TextEncoder().encode(JSON.stringify(heads));
  const length = new Uint8Array(4);
  new DataView(length.buffer).setUint32(0, head.length, true);
  return new Blob(/** @type {BlobPart[]} */ ([length, head, ...bodies]));
}

function host() {
  const darkness = window.matchMedia("(prefers-color-scheme: dark)");
  return /** @type {import("./data/types.js").Host} */ ({
    readHash: () => new Map(new URLSearchParams(window.location.hash.slice(1))),
    writeHash,
    onHash: (listener) => window.addEventListener("hashchange", listener),
    dark: () => darkness.matches,
    onDark: (listener) => darkness.addEventListener("change", listener),
    onReload() {},
    remember() {},
    recalls: () => true, // what can't be put away for good is not shown by itself
    document,
    advice: {
      silent: "This report can't be read any more. Open it again.",
      refused: (answer) => `This report is not whole: “${answer}”.`,
      empty: "This report was made of a log without a step.",
      upgrade: "where reports are made",
    },
  });
}

/**
 * A frame without an address of its own keeps none.
 *
 * @param {[string, string][]} entries
 * @param {boolean} asNew
 */
function writeHash(entries, asNew) {
  const hash = `#${new URLSearchParams(entries)}`;
  if (hash === (window.location.hash || "#")) return;
  try {
    if (asNew) window.history.pushState(null, "", hash);
    else window.history.replaceState(null, "", hash);
  } catch {
    // as in a frame that a notebook has written
  }
}
