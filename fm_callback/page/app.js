// The frame of the page: bars on top, one view below, and what is said when there is nothing to show.

import { FORMAT, load, log } from "./log.js";
import { Bar } from "./bar.js";
import { Context } from "./context.js";
import { Keyboard } from "./keys.js";
import { layer, run, state, steps } from "./state.js";
import { Evolution } from "./views/evolution.js";
import { Layer } from "./views/layer.js";
import { Channel } from "./views/channel.js";
import { Compare } from "./views/compare.js";
import { Depth } from "./views/depth.js";
import { Component, html, useLayoutEffect, useRef } from "./ui.js";

const PAGES = { evolution: Evolution, layer: Layer, channel: Channel, compare: Compare, depth: Depth };

export function App() {
  const { status, error, cap } = log.value,
    view = state.view.value;
  const [main, keep] = useScroll(view);
  if (status === "loading") return html`<${Skeleton} />`;
  if (status === "failed")
    return html`<main class="page message"><h1>The log could not be read</h1><p>${error}</p><p><button onClick=${() => load()}>Try again</button></p></main>`;
  if (!run.value) return html`<${Empty} />`;
  const Page = PAGES[view];
  const drawable = run.value.layers.some((layer) => !layer.problem);
  return html`<${Bar} />
    <${Context} />
    <${Notices} error=${error} cap=${cap} />
    <main class="page" id="view" tabindex="-1" aria-label=${view} ref=${main} onScroll=${keep}>
      ${!drawable ? html`<p class="message">No layer of this run can be shown.</p>` : !steps.value.length ? html`<p class="message">This run has no step yet. It appears when TensorBoard reloads.</p>` : html`<${Guard} key=${view}><${Page} /><//>`}
    </main>
    <${Keyboard} />`;
}

// Who comes back to the long list of layers finds it where it was left.
const left = new Map();

function useScroll(view) {
  const main = useRef(null),
    before = useRef(view);
  useLayoutEffect(() => {
    if (before.current === view) return;
    before.current = view;
    if (main.current) main.current.scrollTop = left.get(view) ?? 0;
  }, [view]);
  return [main, (event) => (view === "evolution" || view === "depth") && left.set(view, event.currentTarget.scrollTop)];
}

function Notices({ error, cap }) {
  const notices = [];
  if (error) notices.push(html`${error} <button class="link" onClick=${() => load()}>Try again</button>`);
  if (run.value.newest > FORMAT) {
    notices.push(
      `This run was written by a newer version of fm_callback (format ${run.value.newest}; this page knows ${FORMAT}). What is shown may be incomplete: upgrade fm-callback where TensorBoard runs.`,
    );
  }
  if (state.run.value !== null && state.run.value !== run.value.run) {
    notices.push(`This log has no run “${state.run.value}”: “${run.value.name}” is shown.`);
  }
  if (state.layer.value !== null && layer.value && state.layer.value !== layer.value.layer) {
    notices.push(`This run has no layer “${state.layer.value}”: “${layer.value.path ?? layer.value.layer}” is shown.`);
  }
  if (cap && steps.value.length >= cap) {
    notices.push(
      html`TensorBoard kept ${steps.value.length} steps of this run and may have dropped others, at random. To see more, start it with <code>--samples_per_plugin=feature_maps=${cap * 10}</code>.`,
    );
  }
  if (/["\\\x00-\x1f]/.test(run.value.run)) {
    notices.push(
      html`The run's name holds a quotation mark, backslash or control character: TensorBoard's fast reading path cannot give its pictures. Start it with <code>--load_fast=false</code>, or rename the directory.`,
    );
  }
  return notices.map((notice) => html`<p class="notice" role="status">${notice}</p>`);
}

// The shape of the page before the log is there.
function Skeleton() {
  const ghosts = (count) => Array.from({ length: count }, () => html`<span class="ghost"></span>`);
  return html`<header class="bar ghosts" aria-busy="true">${ghosts(3)}</header>
    <div class="context ghosts">${ghosts(2)}</div>
    <main class="page" aria-label="loading"><p class="unseen" role="status">Reading the log</p>
      ${Array.from({ length: 6 }, () => html`<div class="ghost-row">${ghosts(6)}</div>`)}
    </main>`;
}

const SNIPPET = `from fm_callback import FeatureMapCallback

model.fit(
    ...,
    # samples: a few inputs, prepared as for training
    callbacks=[FeatureMapCallback(samples, "logs")],
)`;

function Empty() {
  const copy = async (event) => {
    const button = event.currentTarget;
    await navigator.clipboard
      .writeText(SNIPPET)
      .catch(() => getSelection().selectAllChildren(button.previousElementSibling));
    button.textContent = "Copied";
  };
  return html`<main class="page message"><h1>No feature maps in this log yet</h1>
    <p>Add the callback to your training. Maps appear here after the first step; TensorBoard's reload button looks again.</p>
    <div class="snippet"><pre tabindex="0" aria-label="example">${SNIPPET}</pre><button onClick=${copy}>Copy</button></div>
    <p>Then start <code>tensorboard --logdir logs</code>. If training has written maps already, check that this TensorBoard watches the same directory.</p>
  </main>`;
}

// An error of the page itself must not leave it blank.
class Guard extends Component {
  componentDidCatch(error) {
    console.error(error);
    this.setState({ error });
  }

  render({ children }, { error }) {
    if (!error) return children;
    return html`<div class="message"><h1>This view failed</h1><p>${String(error.message)}</p><p>The other views may work. <button onClick=${() => this.setState({ error: null })}>Try again</button></p></div>`;
  }
}
