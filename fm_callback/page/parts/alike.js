// @ts-check
// Which of a layer's channels are alike at a step: known a moment after the layer is looked at.

import { channelLikeness } from "../data/colours.js";
import { reachable } from "../data/log.js";
import { alikeOrder, groupsOf } from "../draw/groups.js";
import { useEffect, useSignal } from "./ui.js";

/**
 * Groups of places that show the same, an order in which like stands by like, and how many have any contrast; null
 * until that is known.
 *
 * @param {import("../data/types.js").Layer} layer
 * @param {number} step
 */
export function useAlike(layer, step) {
  const found = useSignal(null);
  useEffect(() => {
    if (layer.problem || !layer.run.versions.has(step)) return;
    let gone = false;
    const waiting = setTimeout(async () => {
      const matrix = await channelLikeness(layer, step).catch(() => null);
      if (!gone && matrix) {
        const live = matrix.filter((row, place) => row[place] > 0).length;
        found.value = { layer, live, groups: groupsOf(matrix), order: alikeOrder(matrix, 0) };
      }
    }, 250);
    return () => {
      gone = true;
      clearTimeout(waiting);
    };
  }, [layer, step, reachable.value]);
  return found.value?.layer === layer ? found.value : null;
}
