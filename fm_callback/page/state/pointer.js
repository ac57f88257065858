// @ts-check
// Whether the pointer was used last. What was clicked has the focus, but does not keep the page's keys.

let pointed = false;

export const byPointer = () => pointed;

export function usedPointer() {
  pointed = true;
}

export function usedKeys() {
  pointed = false;
}
