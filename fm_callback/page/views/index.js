// @ts-check
// The one list of views, in the order of the bar: their keys are their places. A new view is a file here, a line here,
// and its style.

import { Channel } from "./channel.js";
import { Compare } from "./compare.js";
import { Depth } from "./depth.js";
import { Evolution } from "./evolution.js";
import { Labels } from "./labels.js";
import { Layer } from "./layer.js";
import { Overview } from "./overview.js";
import { Prediction } from "./prediction.js";

/** @type {import("../state/state.js").View[]} */
export const VIEWS = [
  { key: "overview", title: "Overview", Page: Overview, mapless: true, keepsScroll: true },
  { key: "evolution", title: "Evolution", Page: Evolution, ofAll: true, keepsScroll: true },
  { key: "layer", title: "Layer", Page: Layer, ofLayer: true },
  { key: "channel", title: "Channel", Page: Channel, ofLayer: true, ofChannel: true },
  { key: "compare", title: "Compare", Page: Compare, ofLayer: true, ofTwo: true },
  { key: "depth", title: "Depth", Page: Depth, ofAll: true, keepsScroll: true },
  { key: "prediction", title: "Prediction", Page: Prediction, mapless: true, keepsScroll: true },
  { key: "labels", title: "Labels", Page: Labels, mapless: true, keepsScroll: true },
];
