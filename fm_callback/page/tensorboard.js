// @ts-check
// The door from TensorBoard, which imports this module into an empty frame and calls render(). All that the page knows
// of TensorBoard is in this file: its address bar, its dark mode, its reload button, its words.

/** @typedef {import("./data/types.js").Host} Host */

const PREFIX = "p.feature_maps.";

export async function render() {
  // What takes longest is begun first.
  const page = import("./main.js");
  let early = /** @type {Promise<Response> | null} */ (request("runs", [], {}));
  early?.catch(() => {}); // who takes it hears of it
  /** @type {import("./data/types.js").Ask} */
  const ask = (...question) => {
    const answer = question[0] === "runs" && early ? early : request(...question);
    if (answer === early) early = null;
    return answer;
  };
  document.documentElement.lang = "en";
  document.title = "Feature maps";
  window.focus(); // so that the keys work before the first click
  await (await page).start({ ask, host: host() });
}

/** @type {import("./data/types.js").Ask} */
function request(route, parameters, headers) {
  const query = new URLSearchParams(parameters.map(([key, value]) => [key, String(value)]));
  // Whether there is news is asked of the server, and not of what the browser keeps.
  return fetch(
    parameters.length ? `${route}?${query}` : route,
    route === "runs" ? { headers, cache: "no-store" } : { headers },
  );
}

// Opened on its own, outside of TensorBoard, the page has an address of its own.
function host() {
  const outer = surrounding();
  return /** @type {Host} */ ({
    readHash: () => readHash(outer.location.hash),
    writeHash: (entries, asNew) => writeHash(outer, entries, asNew),
    onHash(listener) {
      outer.addEventListener("hashchange", () => {
        const { hash } = outer.location; // other tabs' addresses say nothing of ours
        if (readHash(hash).size || /^(#feature_maps)?(&|$)/.test(hash)) listener();
      });
    },
    dark: () =>
      outer === window
        ? window.matchMedia("(prefers-color-scheme: dark)").matches
        : outer.document.body.classList.contains("dark-mode"),
    onDark(listener) {
      if (outer === window) window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", listener);
      else new MutationObserver(listener).observe(outer.document.body, { attributeFilter: ["class"] });
    },
    onReload(listener) {
      if (outer !== window) hear(outer, listener);
    },
    remember: (key) => storage((store) => store.setItem(PREFIX + key, "1")),
    recalls: (key) => storage((store) => store.getItem(PREFIX + key)) === "1",
    // Of a link in its frame Firefox takes a file for a frame, and TensorBoard's policy forbids it.
    document: outer.document,
    advice: {
      silent: "TensorBoard does not answer. Is it still running? Start it again: this page waits for it.",
      refused: (answer) => `TensorBoard answered “${answer}”. Its terminal may say more.`,
      empty: "If training has written maps already, check that this TensorBoard watches the same directory.",
      upgrade: "where TensorBoard runs",
    },
  });
}

// A browser may refuse to keep anything: then nothing was seen.
function storage(/** @type {(store: Storage) => unknown} */ use) {
  try {
    return use(window.localStorage);
  } catch {
    return null;
  }
}

function surrounding() {
  try {
    return window.parent.document.body ? window.parent : window;
  } catch {
    return window;
  }
}

/**
 * TensorBoard keeps entries `p.<plugin>.x=y` of the hash over tab switches and reloads.
 *
 * @param {string} hash
 */
function readHash(hash) {
  const found = new Map();
  for (const item of hash.slice(1).split("&")) {
    const [key, value = ""] = item.split("=");
    if (!key.startsWith(PREFIX)) continue;
    try {
      found.set(decodeURIComponent(key.slice(PREFIX.length)), decodeURIComponent(value));
    } catch {
      // A link that was cut in the middle of a character: this entry is lost, the others hold.
    }
  }
  return found;
}

/**
 * @param {Window} outer
 * @param {[string, string][]} entries
 * @param {boolean} asNew
 */
function writeHash(outer, entries, asNew) {
  const items = outer.location.hash.slice(1).split("&");
  const others = items.filter((item) => item && !item.startsWith(PREFIX));
  if (!others.length) others.push("feature_maps");
  const ours = entries.map(([key, value]) => `${PREFIX}${encodeURIComponent(key)}=${encodeURIComponent(value)}`);
  const hash = `#${[...others, ...ours].join("&")}`;
  if (hash === outer.location.hash) return;
  if (asNew) outer.history.pushState(outer.history.state, "", hash);
  else outer.history.replaceState(outer.history.state, "", hash);
}

/**
 * TensorBoard talks JSON over a port; it waits for an answer to what it sends.
 *
 * @param {Window} outer
 * @param {() => void} onReload
 */
function hear(outer, onReload) {
  const { port1, port2 } = new MessageChannel();
  port1.onmessage = (event) => {
    const { type, id, isReply } = JSON.parse(event.data);
    if (isReply) return;
    port1.postMessage(JSON.stringify({ type, id, payload: null, error: null, isReply: true }));
    if (type === "experimental.DataReloaded") onReload();
  };
  outer.postMessage("experimental.bootstrap", "*", [port2]);
}
