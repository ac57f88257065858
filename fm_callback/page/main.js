// Puts the page into its frame.

import { h, render as mount } from "./vendor/preact.js";
import { App } from "./app.js";
import { dark, onReload, onOuterHash } from "./host.js";
import { effect } from "./vendor/signals.js";
import { load } from "./log.js";
import { readAddress } from "./state.js";

// `runs` is the answer to the first question, which was asked before this module was there.
export async function start(runs) {
  effect(() => {
    document.documentElement.dataset.theme = dark.value ? "dark" : "light";
  });
  readAddress();
  onOuterHash(readAddress);
  onReload(() => load());
  window.focus(); // so that the keys work before the first click
  mount(h(App), document.body);
  await load(runs);
}
