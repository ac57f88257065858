// @ts-check
// The frame of the page: bars on top, one view below, and what is said where there is nothing to show.

import { log } from "../data/log.js";
import { first, run, view } from "../state/state.js";
import { Bar } from "./bar.js";
import { Context } from "./context.js";
import { Keyboard } from "./help.js";
import { Empty, Failed, Guard, Notices, Skeleton } from "./messages.js";
import { Tour } from "./tour.js";
import { html, useLayoutEffect, useRef } from "./ui.js";

export function App() {
  const { status } = log.value;
  const { key, Page } = view.value;
  const [main, keep] = useScroll(view.value);
  if (status === "loading") return html`<${Skeleton} />`;
  if (status === "failed") return html`<${Failed} />`;
  if (!run.value) return html`<${Empty} />`;
  return html`<${Bar} />
    <${Context} />
    <${Notices} />
    <main class="page" id="view" tabindex="-1" aria-label=${key} ref=${main} onScroll=${keep}>
      ${
        run.value.drawable.length
          ? html`<${Guard} key=${key}><${Page} /><//>`
          : html`<p class="message">No layer of this run can be shown.</p>`
      }
    </main>
    <${Keyboard} />
    <${Tour} first=${first.value} />`;
}

// Who comes back to a long list finds it where it was left.
const left = /** @type {Map<string, number>} */ (new Map());

/** @param {import("../state/state.js").View} view */
function useScroll({ key, keepsScroll }) {
  const main = useRef(null);
  const before = useRef(key);
  useLayoutEffect(() => {
    if (before.current === key) return;
    before.current = key;
    if (main.current) main.current.scrollTop = left.get(key) ?? 0;
  }, [key]);
  return [main, (event) => keepsScroll && left.set(key, event.currentTarget.scrollTop)];
}
