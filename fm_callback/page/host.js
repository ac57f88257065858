// What is around the page: TensorBoard's address bar, its dark mode, its reload button. Opened on its own, the page looks after itself.

import { signal } from "./vendor/signals.js";

const PREFIX = "p.feature_maps.";

const outer = reachable() ? window.parent : window;

function reachable() {
  try {
    return Boolean(window.parent.document.body);
  } catch {
    return false;
  }
}

// TensorBoard keeps entries `p.<plugin>.x=y` of the hash over tab switches and reloads.
export function readHash() {
  const found = new Map();
  for (const item of outer.location.hash.slice(1).split("&")) {
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

// `asNew`: the browser's Back button returns to what was before.
export function writeHash(entries, asNew) {
  const others = outer.location.hash
    .slice(1)
    .split("&")
    .filter((item) => item && !item.startsWith(PREFIX));
  if (!others.length) others.push("feature_maps");
  const ours = entries.map(([key, value]) => `${PREFIX}${encodeURIComponent(key)}=${encodeURIComponent(value)}`);
  const hash = "#" + [...others, ...ours].join("&");
  if (hash === outer.location.hash) return;
  if (asNew) outer.history.pushState(outer.history.state, "", hash);
  else outer.history.replaceState(outer.history.state, "", hash);
}

export function onOuterHash(listener) {
  outer.addEventListener("hashchange", () => {
    if (readHash().size || /^(#feature_maps)?(&|$)/.test(outer.location.hash)) listener(); // other tabs' addresses say nothing of ours
  });
}

export const dark = signal(isDark());

function isDark() {
  if (outer !== window) return outer.document.body.classList.contains("dark-mode");
  return window.matchMedia("(prefers-color-scheme: dark)").matches;
}

if (outer !== window) {
  new MutationObserver(() => (dark.value = isDark())).observe(outer.document.body, { attributeFilter: ["class"] });
}

// TensorBoard talks JSON over a port; it waits for an answer to what it sends.
export function onReload(listener) {
  if (outer === window) return;
  const { port1, port2 } = new MessageChannel();
  port1.onmessage = (event) => {
    const { type, id, isReply } = JSON.parse(event.data);
    if (isReply) return;
    port1.postMessage(JSON.stringify({ type, id, payload: null, error: null, isReply: true }));
    if (type === "experimental.DataReloaded") listener();
  };
  outer.postMessage("experimental.bootstrap", "*", [port2]);
}
