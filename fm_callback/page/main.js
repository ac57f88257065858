// @ts-check
// Puts the page into its document. What is around it, and who answers it, is said by the door that it came through.

import { addressOf, useFiles } from "./data/files.js";
import { hasNews, refresh } from "./data/log.js";
import { connect } from "./data/source.js";
import { App } from "./parts/app.js";
import { watchRatio } from "./parts/maps.js";
import { dark, settle } from "./state/host.js";
import { keepAddress, readAddress, views } from "./state/state.js";
import { effect } from "./vendor/signals.js";
import { h, render } from "./vendor/preact.js";
import { VIEWS } from "./views/index.js";

const NEWS = 2000; // milliseconds between questions for news, while somebody looks

/**
 * @param {object} given
 * @param {import("./data/types.js").Ask} given.ask
 * @param {import("./data/types.js").Host} given.host
 * @param {(path: string) => string} [given.files] where the page's files are, by their path in this folder
 */
export async function start({ ask, host, files }) {
  if (files) useFiles(files);
  connect({ ask, advice: host.advice });
  settle(host);
  watchRatio();
  views.value = VIEWS;
  const first = refresh();
  await Promise.all(
    ["vendor/uplot", "style/theme", "style/parts", ...VIEWS.map(({ key }) => `style/${key}`)].map(stylesheet),
  );
  effect(() => {
    document.documentElement.dataset.theme = dark.value ? "dark" : "light";
  });
  readAddress();
  keepAddress();
  host.onHash(readAddress);
  host.onReload(refresh);
  render(h(App, null), document.body);
  const look = () => document.visibilityState === "visible" && hasNews() && refresh();
  setInterval(look, NEWS);
  document.addEventListener("visibilitychange", look);
  await first;
}

/** @param {string} name */
function stylesheet(name) {
  const link = document.createElement("link");
  link.rel = "stylesheet";
  link.href = addressOf(`${name}.css`);
  const loaded = new Promise((resolve) => {
    link.onload = link.onerror = resolve;
  });
  document.head.append(link);
  return loaded;
}
