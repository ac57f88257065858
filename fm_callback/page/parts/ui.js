// @ts-check
// What the parts and views share of the libraries.

import htm from "../vendor/htm.js";
import { useEffect } from "../vendor/hooks.js";
import { h } from "../vendor/preact.js";
import { effect } from "../vendor/signals.js";

export { useEffect, useLayoutEffect, useMemo, useRef, useState } from "../vendor/hooks.js";
export { Component } from "../vendor/preact.js";
export { batch, computed, signal, useSignal } from "../vendor/signals.js";

export const html = htm.bind(h);

/**
 * Runs again when a signal that it reads changes, or one of what it depends on; it returns what ends it.
 *
 * @param {() => unknown} watch
 * @param {unknown[]} inputs
 */
export function useWatch(watch, inputs) {
  useEffect(() => effect(watch), inputs);
}
