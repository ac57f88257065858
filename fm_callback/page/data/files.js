// @ts-check
// Where the page's own files are: beside this one, unless the door says otherwise. A page in one file carries them
// itself.

let locate = (/** @type {string} */ path) => new URL(`../${path}`, import.meta.url).href;

/** @param {(path: string) => string} given */
export function useFiles(given) {
  locate = given;
}

// The address of a file by its path in the page's folder.
export const addressOf = (/** @type {string} */ path) => locate(path);

// A module that is needed by few, when it is needed.
export const load = (/** @type {string} */ path) => import(locate(path));
