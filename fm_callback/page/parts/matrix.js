// @ts-check
// Scores as a table whose cells are shaded by how far they are from chance; the numbers stand in it.

import { format, told, toldExcess } from "../data/measures.js";
import { html } from "./ui.js";

const SCORE = /** @type {const} */ ({ kind: "score", sided: true });

/*
 * rows, columns: [{name, title, here}]; value(row, column): a separation, or an AUROC whose side is told; raw: whether
 * it is one; over(row, column): what of it is no position, if that is known; onPick(row, column), if a cell can be
 * opened.
 */
export function Matrix({ caption, corner, rows, columns, value, raw = false, over, onPick }) {
  const cell = (row, column) => {
    const found = value(row, column);
    if (!Number.isFinite(found)) return html`<td><span class="second">–</span></td>`;
    const part = Math.min(Math.max(2 * Math.max(found, 1 - found) - 1, 0), 1);
    const text = raw ? told(found, SCORE) : format(found, SCORE);
    const excess = toldExcess(over?.(row, column) ?? NaN);
    const more = excess.title && `, ${excess.title}`;
    const nameOf = (each) => each.title ?? each.name;
    const label = `${nameOf(rows[row])}, ${nameOf(columns[column])}: ${text}${more}`;
    const look = { "--part": `${Math.round(100 * part)}%` };
    return html`<td class=${part > 0.55 ? "scored strong" : "scored"} style=${look}>
      <button title=${label} aria-label=${label} onClick=${() => onPick?.(row, column)}>
        ${text}${excess.text && html`<small>${excess.text}</small>`}
      </button>
    </td>`;
  };
  return html`<div class="matrix-scroll">
    <table class="matrix">
      <caption class="unseen">${caption}</caption>
      <thead>
        <tr>
          <td class="second">${corner}</td>
          ${columns.map(
            ({ name, title, here }) =>
              html`<th scope="col" title=${title} aria-current=${here ? "true" : undefined}>${name}</th>`,
          )}
        </tr>
      </thead>
      <tbody>
        ${rows.map(
          ({ name, title }, row) => html`<tr key=${name}>
            <th scope="row" title=${title}>${name}</th>
            ${columns.map((_, column) => cell(row, column))}
          </tr>`,
        )}
      </tbody>
    </table>
  </div>`;
}
