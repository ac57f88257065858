// One channel through all epochs: a film strip, and the curves of its numbers under it.

import { numbersOf, stepName } from "../log.js";
import { Maps, tileSize, useShown } from "../maps.js";
import { format, measure } from "../measures.js";
import { prefetch } from "../pictures.js";
import { ProbePicture } from "../context.js";
import { Curves } from "../curves.js";
import { field, filmed, goTo, image, layer, place, run, state, step, steps } from "../state.js";
import { Facts, LayerName, basis, useNear } from "../widgets.js";
import { effect, html, useEffect } from "../ui.js";

const current = () => step.value;

export function Channel() {
  const of = layer.value;
  const numbers = numbersOf(of).value;
  const [shown, onShown] = useShown(of),
    now = shown?.step ?? step.value;
  useEffect(
    () =>
      effect(() => {
        const all = layer.value.steps,
          shown = image.value;
        const timer = setTimeout(() => prefetch([layer.value], all.slice(0, 200), shown), 150);
        return () => clearTimeout(timer);
      }),
    [],
  );
  if (of.problem) return html`<p class="message">${of.problem}</p>`;
  const at = filmed(of),
    chosen = place(of) ?? -1;
  const size = tileSize(of, 232),
    small = tileSize(of, 84),
    by = measure(field.value ?? "std");
  const note = state.channel.value !== null && chosen < 0 ? `channel ${state.channel.value} is not logged here; ` : "";
  return html`<div class="channel-view">
    <section class="now-panel">
      <div class="about">
        <h2><${LayerName} layer=${of} /></h2>
        <${Facts} layer=${of} />
        <p class="big">channel <b>${of.channels[at]}</b>${chosen < 0 && html` <span class="second">${note}the highest ${by.label} at ${stepName(of, of.steps.at(-1))}</span>`}</p>
        <dl class="list">${(numbers?.fields ?? []).map((name) => html`<dt>${measure(name).label}</dt><dd>${format(numbers.get(now, at, name), measure(name))}</dd>`)}</dl>
        <p class="second">scores over ${chosen < 0 ? basis(of) : basis(of, 1)}</p>
      </div>
      <figure><${Maps} layer=${of} at=${current} places=${[at]} columns=${1} gap=${0} ...${size} label=${`channel ${of.channels[at]}, ${stepName(of, now)}`} onShown=${onShown} /><figcaption>${stepName(of, now)}</figcaption></figure>
      ${["image", "mask"].map((kind) => run.value.probe[`${kind}s`] > image.value && html`<figure><span class="beside" style=${{ width: `${size.width}px` }}><${ProbePicture} kind=${kind} at=${image.value} outlined=${kind === "image"} label=${kind === "image" ? "input" : "true mask"} /></span><figcaption>${kind === "image" ? "input" : "true mask"}</figcaption></figure>`)}
    </section>
    <${Strip} of=${of} at=${at} size=${small} by=${by} numbers=${numbers} />
    <section class="charts" aria-label="numbers of the channel">${numbers && charts(numbers).map(([title, names]) => html`<${Chart} key=${title} of=${of} numbers=${numbers} at=${at} title=${title} names=${names} />`)}</section>
  </div>`;
}

function Strip({ of, at, size, by, numbers }) {
  return html`<section class="strip" aria-label="film strip">
    ${of.steps.map((each) => html`<${Frame} key=${each} of=${of} each=${each} at=${at} size=${size} text=${format(numbers?.get(each, at, by.field), by)} />`)}
  </section>`;
}

function Frame({ of, each, at, size, text }) {
  const [ref, near] = useNear();
  return html`<button ref=${ref} class="tile" aria-pressed=${each === step.value} title=${stepName(of, each)} onClick=${() => goTo(steps.peek().indexOf(each))}>
    <span class="frame" style=${{ width: `${size.width}px`, height: `${size.height}px` }}>${near && html`<${Maps} layer=${of} at=${each} places=${[at]} columns=${1} gap=${0} ...${size} label="" />`}</span>
    <span class="under"><span>${each === 0 ? "before" : html`<span class="unseen">${of.step_unit} </span>${each}`}</span><span class="value">${text}</span></span>
  </button>`;
}

// Which numbers stand together: the values, the scores, and each other number on its own.
function charts(numbers) {
  const scores = numbers.fields.filter((name) => measure(name).score);
  const others = numbers.fields.filter(
    (name) => !scores.includes(name) && !["low", "mean", "high", "mean_abs"].includes(name),
  );
  const busy = others.filter((name) =>
    numbers.values.some((value, index) => index % numbers.columns === numbers.column.get(name) && value > 0),
  );
  return [
    ...(scores.length ? [["scores", scores]] : []),
    ["values", ["high", "mean", "low"]],
    ...busy.map((name) => [measure(name).label, [name]]),
  ];
}

const INKS = ["--blue", "--series-2", "--series-3", "--series-4"];

function Chart({ of, numbers, at, title, names }) {
  const scores = title === "scores";
  const lines = names.map((name, index) => ({
    label: measure(name).label,
    values: numbers.history(at, name),
    ink: INKS[index % INKS.length],
  }));
  return html`<div class="card"><h2>${title[0].toUpperCase() + title.slice(1)}</h2>
    <${Curves} title=${title} unit=${of.step_unit} x=${numbers.steps} lines=${lines} at=${step.value} level=${scores ? 0.5 : null} range=${scores || measure(names[0]).share ? [0, 1] : undefined}
      names=${(value) => stepName(of, value)} format=${(value) => format(value, names.length === 1 || scores ? measure(names[0]) : {})} onPick=${(index) => goTo(steps.peek().indexOf(numbers.steps[index]))} />
  </div>`;
}
