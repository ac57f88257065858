// @ts-check
// One channel through all epochs: a film strip, and the curves of its numbers under it.

import { measureOf, stepName } from "../data/log.js";
import { excessOf, format, told, toldControl, toldExcess } from "../data/measures.js";
import { numbersOf } from "../data/tables.js";
import { tileSize, wideness } from "../draw/geometry.js";
import { Curves } from "../parts/curves.js";
import { Densities, hasDensities } from "../parts/densities.js";
import { InView } from "../parts/in_view.js";
import { Maps, current, ratio, useAhead, useShown } from "../parts/maps.js";
import { Predicted } from "../parts/predicted.js";
import { ProbePicture } from "../parts/probe_picture.js";
import { html } from "../parts/ui.js";
import { Facts, LayerLabel, Word, basis, reduction, sliceText, useNear, useWidth } from "../parts/widgets.js";
import {
  filmed,
  goTo,
  image,
  knownBest,
  layer,
  chosenMeasure,
  place,
  run,
  state,
  step,
  steps,
} from "../state/state.js";

const LONG = 200; // steps that are fetched in advance

export function Channel() {
  const chosen = layer.value;
  const [ref, width] = useWidth();
  const [shown, onShown] = useShown(chosen);
  const now = shown?.step ?? step.value;
  useAhead(
    () => [layer.value],
    () => layer.value.run.steps.slice(0, LONG),
  );
  if (chosen.problem) return html`<p class="message">${chosen.problem}</p>`;
  const numbers = numbersOf(chosen).value;
  const filmedPlace = filmed(chosen);
  const wider = wideness(chosen, 3);
  const { pictures, labels } = chosen.run.probe;
  const count = 1 + Number(pictures > 0) + Number(labels > 0) + Number(chosen.run.prediction?.kind === "labels");
  const beside = Math.min(Math.max(Math.floor((width - 460) / count) - 20, 168), 420); // so that all stand in one row
  const size = tileSize(chosen, Math.min(beside * wider, width));
  const small = tileSize(chosen, 84 * wider);
  const reduced = reduction(chosen, { width: size.width * ratio.value, height: size.height * ratio.value });
  const film = { layer: chosen, place: filmedPlace, numbers };
  const label = `channel ${chosen.channels[filmedPlace]}, ${stepName(chosen.run, now)}`;
  return html`<div ref=${ref} class="channel-view">
    <section class="now-panel">
      <${About} ...${film} now=${now} />
      <div class="pictures">
        <div class="row-of">
        <figure data-whole>
          <${Maps} layer=${chosen} when=${current} places=${[filmedPlace]} ...${size} label=${label}
            onShown=${onShown} />
          <figcaption>${stepName(chosen.run, now)}${reduced && `: ${reduced}`}</figcaption>
        </figure>
        <${Inputs} width=${size.width} />
        </div>
        ${chosen.run.probe.stored > 1 && html`<${Images} ...${film} size=${small} />`}
      </div>
    </section>
    <section class="strip" aria-label="film strip">
      ${chosen.run.steps.map((each) => html`<${Frame} key=${each} ...${film} step=${each} size=${small} />`)}
    </section>
    <section class="charts" aria-label="numbers of the channel">
      ${
        numbers &&
        charts(numbers).map(
          ([title, fields]) => html`<${Chart} key=${title} ...${film} title=${title} fields=${fields} />`,
        )
      }
    </section>
  </div>`;
}

function About({ layer, place: filmedPlace, numbers, now }) {
  const chosen = place(layer) ?? -1;
  const { label } = chosenMeasure.value;
  const note = state.channel.value !== null ? `channel ${state.channel.value} is not logged here; ` : "";
  const end = stepName(layer.run, layer.run.steps.at(-1));
  const none = numbers && knownBest(layer, numbers) === null;
  const why = note + (none ? `the first one: none has a ${label} at ${end}` : `the highest ${label} at ${end}`);
  const say = (field) =>
    field === "mask_control"
      ? toldControl(numbers, now, filmedPlace)
      : told(numbers.get(now, filmedPlace, field), measureOf(field));
  const mask = measureOf("mask_auroc");
  const over = numbers ? toldExcess(excessOf(numbers, now, filmedPlace, mask)) : { text: "", title: "" };
  return html`<div class="about" data-whole>
    <h2><${LayerLabel} layer=${layer} /></h2>
    <${Facts} layer=${layer} />
    <p class="big">
      channel <b>${layer.channels[filmedPlace]}</b>${chosen < 0 && html` <span class="second">${why}</span>`}
    </p>
    <dl class="list">
      ${(numbers?.fields ?? []).map(
        (field) => html`<dt><${Word} measure=${measureOf(field)} /></dt><dd>${say(field)}</dd>`,
      )}
    </dl>
    ${over.text && html`<p class="second">mask AUROC ${over.title}</p>`}
    <p><${InView} layer=${layer} step=${now} place=${filmedPlace} measure=${mask} /></p>
    ${hasDensities(layer) && html`<${Densities} layer=${layer} step=${now} place=${filmedPlace} />`}
    <p class="second">scores over ${chosen < 0 ? basis(layer) : basis(layer, 1)}</p>
  </div>`;
}

function Inputs({ width }) {
  const { pictures, labels, slices, slice_axis } = run.value.probe;
  const shown = image.value;
  const one = (kind, label, more = "") => html`<figure data-whole>
    <span class="beside" style=${{ width: `${width}px` }}>
      <${ProbePicture} kind=${kind} image=${shown} outlined=${kind === "input"} label=${label} />
    </span>
    <figcaption>${label}${more}</figcaption>
  </figure>`;
  const slice = sliceText(slices[shown], slice_axis);
  const predicted =
    run.value.prediction?.kind === "labels" &&
    html`<figure data-whole>
    <span class="beside" style=${{ width: `${width}px` }}>
      <${Predicted} run=${run.value} step=${step.value} image=${shown} label="prediction" />
    </span>
    <figcaption>prediction</figcaption>
  </figure>`;
  return html`${pictures > shown && one("input", "input", slice)}${labels > shown && one("labels", "true mask")}
    ${predicted}`;
}

// The channel on all stored images at the step.
function Images({ layer, place, size }) {
  const { stored, pictures } = layer.run.probe;
  const frame = { width: `${size.width}px`, height: `${size.height}px` };
  return html`<section class="images" aria-label="the channel on all stored images">
    <h2>On all images</h2>
    <div>
      ${[...Array(stored).keys()].map(
        (each) => html`<button key=${each} class="tile" data-whole aria-pressed=${each === image.value}
          title=${`look at image ${each + 1}`} onClick=${() => (state.image.value = each)}>
          ${
            pictures > each &&
            html`<span class="frame" style=${frame}><${ProbePicture} kind="input" image=${each} label="" /></span>`
          }
          <span class="frame" style=${frame}>
            <${Maps} layer=${layer} when=${current} places=${[place]} ...${size} of=${each} label="" />
          </span>
          <span class="under"><span>image ${each + 1}</span></span>
        </button>`,
      )}
    </div>
  </section>`;
}

function Frame({ layer, place, numbers, step: each, size }) {
  const [ref, near] = useNear();
  const measure = chosenMeasure.value;
  const frame = { width: `${size.width}px`, height: `${size.height}px` };
  const name = each === 0 ? "before" : html`<span class="unseen">${layer.run.unit} </span>${each}`;
  return html`<button ref=${ref} class="tile" data-whole aria-pressed=${each === step.value}
    title=${stepName(layer.run, each)} onClick=${() => goTo(steps.peek().indexOf(each))}>
    <span class="frame" style=${frame}>
      ${near && html`<${Maps} layer=${layer} when=${each} places=${[place]} ...${size} label="" />`}
    </span>
    <span class="under">
      <span>${name}</span><span class="value">${told(numbers?.get(each, place, measure.field), measure)}</span>
    </span>
  </button>`;
}

const VALUES = ["high", "mean", "low"];
const isNamed = (field) => field.endsWith("_auroc") && !["mask_auroc", "edge_auroc", "outline_auroc"].includes(field);

// Which numbers stand together: the values, the scores, and each other number on its own, where there is something to
// see.
function charts(numbers) {
  const scores = numbers.fields.filter((field) => measureOf(field).kind === "score" && !isNamed(field));
  const named = numbers.fields.filter(isNamed);
  const others = numbers.fields.filter((field) => ![...scores, ...named, ...VALUES, "mean_abs"].includes(field));
  const busy = others.filter((field) => numbers.any(field));
  const alone = busy.map((field) => [measureOf(field).label, [field]]);
  const groups = [
    ["scores", scores],
    ["labels", named],
  ].filter(([, fields]) => fields.length);
  return [...groups, ["values", VALUES], ...alone];
}

const INKS = ["--blue", "--series-2", "--series-3", "--series-4"];

function Chart({ layer, place, numbers, title, fields }) {
  const scores = title === "scores" || title === "labels";
  const [first] = fields.map(measureOf);
  const bounded = scores || first.kind === "share";
  const alike = fields.length === 1 || scores;
  const level = scores ? 0.5 : fields.length === 1 ? (first.chance ?? null) : null;
  const lines = fields.map((field, index) => ({
    label: measureOf(field).label,
    values: numbers.history(place, field),
    ink: INKS[index % INKS.length],
    dash: index < INKS.length ? undefined : [4, 4],
  }));
  return html`<div class="card" data-whole>
    <h2>${title[0].toUpperCase() + title.slice(1)}</h2>
    ${
      scores &&
      fields.some((field) => measureOf(field).sided) &&
      html`<p class="second">Above the dotted 0.50 it is the bright side that shows it, below it the dark side.</p>`
    }
    <${Curves} title=${title} unit=${layer.run.unit} x=${numbers.steps} lines=${lines} here=${step.value}
      level=${level} range=${bounded ? [0, 1] : undefined} names=${(value) => stepName(layer.run, value)}
      format=${(value) => format(value, alike ? first : {})}
      onPick=${(index) => goTo(steps.peek().indexOf(numbers.steps[index]))} />
  </div>`;
}
