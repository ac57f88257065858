// @ts-check
// What stands out in a run, in words; and the mark on a layer that is concerned.

import { findingsOf, troubleOf } from "../data/findings.js";
import { open, run, steps } from "../state/state.js";
import { html } from "./ui.js";

const SIGNS = { alarm: "▲", warning: "▲", note: "●" };
const PLACES = ["layer", "channel", "step", "heat"];
const MOST = 5;

// A link may name what is not there: the page then says so; and nothing but a place in a view is taken of it.
function follow({ view, ...entries }) {
  const known = Object.entries(entries).filter(([key]) => PLACES.includes(key));
  const changes = Object.fromEntries(known);
  if (changes.step === steps.peek().at(-1)) changes.step = null;
  open(String(view ?? "evolution"), changes);
}

export function Findings() {
  const found = findingsOf(run.value).value;
  if (!found) return html`<li class="well"><i aria-hidden="true">…</i><span>Looking for what stands out.</span></li>`;
  if (!found.findings.length) {
    return html`<li class="well"><i aria-hidden="true">✓</i><span>Nothing stands out over all steps.</span></li>`;
  }
  const left = found.findings.length - MOST + found.more;
  return html`<li class="well"><i></i><span class="second">over all steps:</span></li>
    ${found.findings.slice(0, MOST).map((each) => html`<${One} ...${each} />`)}
    ${left > 0 && html`<li class="well"><i></i><span>${left} more: fm-callback findings LOG_DIR</span></li>`}`;
}

function One({ severity, text, advice, link }) {
  const [headline, ...rest] = text.split(/(?<=\.) /);
  return html`<li class=${severity === "note" ? "well" : "wrong"}>
    <i aria-hidden="true">${SIGNS[severity] ?? "●"}</i>
    <details class="finding">
      <summary><b>${severity}</b>: ${headline}</summary>
      ${rest.length > 0 && html`<p class="second">${rest.join(" ")}</p>`}
      ${advice && html`<p class="second"><b>What people then try</b>: ${advice}</p>`}
      ${
        link?.view &&
        html`<button class="link" aria-label=${`look: ${headline}`} onClick=${() => follow(link)}>look</button>`
      }
    </details>
  </li>`;
}

// On the name of a layer: that something was found in it.
export function Trouble({ layer }) {
  const found = troubleOf(layer);
  if (!found) return null;
  return html` <span class="trouble-mark" title=${`${found.severity}: ${found.text}`}>▲<span class="unseen">
    ${found.severity}: ${found.text}
  </span></span>`;
}
