// @ts-check
// What is said: notices over a view, and what stands in its place.

import { log, refresh, stepName } from "../data/log.js";
import { retry, trouble } from "../data/tables.js";
import { host } from "../state/host.js";
import { layer, run, state, step } from "../state/state.js";
import { Component, html } from "./ui.js";

export function Failed() {
  return html`<main class="page message">
    <h1>The log could not be read</h1>
    <p>${log.value.error}</p>
    <p><button onClick=${refresh}>Try again</button></p>
  </main>`;
}

const MOST = 3; // problems of a log

export function Notices() {
  const { error, format, problems } = log.value;
  const wrong = [...problems, ...run.value.problems];
  const notices = /** @type {any[]} */ (wrong.slice(0, MOST));
  if (wrong.length > MOST)
    notices.push(html`${wrong.length - MOST} more: <code>fm-callback check</code> tells them all.`);
  if (trouble.value) notices.unshift(html`${trouble.value} <button class="link" onClick=${retry}>Try again</button>`);
  if (error) notices.unshift(html`${error} <button class="link" onClick=${refresh}>Try again</button>`);
  if (run.value.format > format) {
    notices.push(
      `This run was written by a newer version of fm_callback (format ${run.value.format}; ` +
        `this page knows ${format}). ` +
        `What is shown may be incomplete: upgrade fm-callback ${host.advice.upgrade}.`,
    );
  }
  if (state.run.value !== null && state.run.value !== run.value.id) {
    notices.push(`This log has no run “${state.run.value}”: “${run.value.name}” is shown.`);
  }
  if (state.layer.value !== null && layer.value && state.layer.value !== layer.value.name) {
    notices.push(`This run has no layer “${state.layer.value}”: “${layer.value.path}” is shown.`);
  }
  if (state.step.value !== null && run.value.steps.length && state.step.value !== step.value) {
    const { unit } = run.value;
    notices.push(`This run has no ${unit} ${state.step.value}: ${stepName(run.value, step.value)} is shown.`);
  }
  return notices.map((notice) => html`<p class="notice" role="status">${notice}</p>`);
}

// The shape of the page before the log is there.
export function Skeleton() {
  const ghosts = (count) => Array.from({ length: count }, () => html`<span class="ghost"></span>`);
  return html`<header class="bar ghosts" aria-busy="true">${ghosts(3)}</header>
    <div class="context ghosts">${ghosts(2)}</div>
    <main class="page" aria-label="loading">
      <p class="unseen" role="status">Reading the log</p>
      ${Array.from({ length: 6 }, () => html`<div class="ghost-row">${ghosts(6)}</div>`)}
    </main>`;
}

const SNIPPET = `from fm_callback import FeatureMapCallback

model.fit(
    ...,
    # samples: a few inputs, prepared as for training
    callbacks=[FeatureMapCallback(samples, "logs")],
)`;

export function Empty() {
  const copy = async (event) => {
    const button = event.currentTarget;
    const example = button.previousElementSibling;
    await navigator.clipboard.writeText(SNIPPET).catch(() => getSelection()?.selectAllChildren(example));
    button.textContent = "Copied";
  };
  return html`<main class="page message">
    <h1>No feature maps in this log yet</h1>
    ${log.value.problems.map((problem) => html`<p class="notice" role="status">${problem}</p>`)}
    <p>Add the callback to your training. Maps appear here by themselves after the first step.</p>
    <div class="snippet">
      <pre tabindex="0" aria-label="example">${SNIPPET}</pre>
      <button onClick=${copy}>Copy</button>
    </div>
    <p>Then start <code>tensorboard --logdir logs</code>. ${host.advice.empty}</p>
  </main>`;
}

// An error of the page itself must not leave it blank.
export class Guard extends Component {
  componentDidCatch(error) {
    console.error(error);
    this.setState({ error });
  }

  render({ children }, { error }) {
    if (!error) return children;
    return html`<div class="message">
      <h1>This view failed</h1>
      <p>${String(error.message)}</p>
      <p>The other views may work. <button onClick=${() => this.setState({ error: null })}>Try again</button></p>
    </div>`;
  }
}
