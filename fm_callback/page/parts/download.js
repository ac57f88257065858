// @ts-check

import { host } from "../state/host.js";

/**
 * Hands a file to whom looks at the page.
 *
 * @param {Blob} blob
 * @param {string} name
 */
export function download(blob, name) {
  const link = host.document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name.replace(/[^\w.#-]+/g, "_");
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}
