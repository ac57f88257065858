// One layer large: all its channels at one step, the input and its mask beside them, the value under the pointer.

import { numbersOf, stepName } from "../log.js";
import { Maps, mapSize, ratio, tileSize, useShown } from "../maps.js";
import { format, measure } from "../measures.js";
import { cellUnder, prefetch, ready } from "../pictures.js";
import { ProbePicture } from "../context.js";
import { field, image, layer, open, run, state, step, steps } from "../state.js";
import { Choice, Facts, LayerName, Sparkline, basis, useNear, useWidth } from "../widgets.js";
import { effect, html, signal, useEffect } from "../ui.js";

// What is under the pointer: {place, x, y}
const pointed = signal(null);

const current = () => step.value;

export function Layer() {
  const of = layer.value;
  const [ref, width] = useWidth(980);
  const [shown, onShown] = useShown(of),
    now = shown ?? { step: step.value, image: image.value };
  useEffect(() => () => (pointed.value = null), [of]);
  useEffect(
    () =>
      effect(() => {
        const all = steps.value,
          at = all.indexOf(step.value),
          shown = layer.value,
          of = image.value;
        const timer = setTimeout(
          () => prefetch([shown], [...all.slice(at + 1), ...all.slice(0, at).reverse()].slice(0, 120), of),
          150,
        );
        return () => clearTimeout(timer);
      }),
    [],
  );
  if (of.problem) return html`<p class="message">${of.problem}</p>`;
  const places = sorted(of, now.step);
  const across = Math.max(2, Math.min(places.length, Math.floor((width + 8) / (width < 500 ? 80 : 122))));
  const most = Math.min(Math.floor((width - 8 * (across - 1)) / across), 360);
  const size = tileSize(of, most);
  return html`<div class="layer-view">
    <aside>
      <${Summary} of=${of} />
      <${Pointed} of=${of} now=${now} />
    </aside>
    <div ref=${ref} class="tiles" style=${{ "--tile": `${size.width}px` }}>
      ${places.map((at) => html`<${Tile} key=${at} of=${of} at=${at} size=${size} now=${now.step} onShown=${onShown} />`)}
    </div>
  </div>`;
}

function sorted(of, now) {
  const places = of.channels.map((_, at) => at),
    numbers = numbersOf(of).value,
    by = state.sort.value;
  if (by === "channel" || !numbers?.column.has(by)) return places;
  const value = (at) => numbers.get(now, at, by);
  return places.sort(
    (a, b) => (Number.isNaN(value(a)) ? 1 : Number.isNaN(value(b)) ? -1 : value(b) - value(a)) || a - b,
  );
}

function Summary({ of }) {
  const numbers = numbersOf(of).value,
    by = measure(field.value ?? "std");
  const { images, masks } = run.value.probe;
  return html`<h2><${LayerName} layer=${of} /></h2>
    <${Facts} layer=${of} />
    <div class="inputs">
      ${images > image.value && html`<figure><${ProbePicture} kind="image" at=${image.value} outlined=${masks > image.value} label="input, true mask outlined" /><figcaption>input${masks > image.value ? ", outlined" : ""}</figcaption></figure>`}
      ${masks > image.value && html`<figure><${ProbePicture} kind="mask" at=${image.value} label="true mask" /><figcaption>true mask</figcaption></figure>`}
    </div>
    <${Choice} label="sort by" value=${state.sort.value} options=${[["channel", "channel"], ...(of.fields ?? []).map((each) => [each, measure(each).label])]} onPick=${(value) => (state.sort.value = value)} />
    <div class="trend">
      ${numbers ? html`<${Sparkline} width=${220} height=${40} values=${numbers.steps.map((each) => numbers.summary(each, by.field).highest)} faint=${numbers.steps.map((each) => numbers.summary(each, by.field).median)} at=${() => numbers.index.get(step.value)} />` : html`<span class="ghost spark"></span>`}
      ${numbers && html`<${Baseline} of=${of} numbers=${numbers} by=${by} />`}
      <p class="second">${basis(of)}</p>
    </div>`;
}

// The layer's channels now and at the first step, which is what a score is to be measured against.
function Baseline({ of, numbers, by }) {
  const first = numbers.steps[0],
    now = step.value,
    columns = now === first ? [now] : [first, now];
  const row = (name, which, who) =>
    html`<tr><th scope="row">${name}</th>${columns.map((at) => {
      const found = numbers.summary(at, by.field),
        place = found[who];
      return html`<td>${place != null && html`<span class="second"><abbr title="channel">ch</abbr> ${of.channels[place]}</span> `}<b>${format(found[which], by)}</b></td>`;
    })}</tr>`;
  return html`<table class="baseline"><caption>${by.label}</caption><thead><tr><td></td>${columns.map((at) => html`<th scope="col">${stepName(of, at)}</th>`)}</tr></thead>
    <tbody>${row(by.score ? "best" : "highest", "highest", "best")}${row("median", "median")}${row("lowest", "lowest", "least")}</tbody></table>`;
}

function Tile({ of, at, size, now, onShown }) {
  const [ref, near] = useNear();
  const channel = of.channels[at],
    numbers = numbersOf(of).value,
    by = measure(field.value ?? "std");
  const value = numbers?.get(now, at, by.field);
  const point = (event) => {
    const box = event.currentTarget.getBoundingClientRect();
    const [height, width] = mapSize(of);
    const cell = (from, across, count) =>
      Math.min(Math.max(cellUnder(Math.floor(from * ratio.value), count, across * ratio.value), 0), count - 1);
    pointed.value = {
      place: at,
      x: cell(event.clientX - box.left, box.width, width),
      y: cell(event.clientY - box.top, box.height, height),
    };
  };
  return html`<button ref=${ref} class="tile" aria-pressed=${state.channel.value === channel} title=${`channel ${channel}: ${by.label} ${format(value, by)}`}
    onClick=${() => open("channel", { channel, layer: of.layer })} onFocus=${() => (pointed.value = { place: at, x: null, y: null })}>
    <span class="frame" style=${{ width: `${size.width}px`, height: `${size.height}px` }} onPointerMove=${point} onPointerDown=${point}>
      ${near && html`<${Maps} layer=${of} at=${current} places=${[at]} columns=${1} gap=${0} ...${size} label="" onShown=${onShown} />`}
    </span>
    <span class="under"><span><abbr title="channel">ch</abbr> ${channel}</span><span class="value">${format(value, by)}</span></span>
  </button>`;
}

// The value of a pixel as the layer put it out: between the map's own low and high, in 255 steps.
function Pointed({ of, now }) {
  const numbers = numbersOf(of).value,
    { place: at, x, y } = pointed.value ?? {};
  if (!numbers || at === undefined || at >= of.channels.length)
    return html`<div class="pointed"><p class="second">Point at a map for its values.</p></div>`;
  const [low, high] = numbers.range("own", now.step, at);
  const picture = ready(of, now.step, Math.min(now.image, of.stored_images - 1));
  let value = null;
  if (picture && x !== null) {
    const [height, width] = mapSize(of);
    const pixel =
      picture.pixels[(Math.floor(at / of.columns) * height + y) * picture.width + (at % of.columns) * width + x];
    value = low + (pixel / 255) * (high - low);
  }
  return html`<div class="pointed" aria-live="polite">
    <p><b>channel ${of.channels[at]}</b> ${x !== null && html`<span class="second">at (${x}, ${y})</span>`}</p>
    <p>value <b>${value === null ? "–" : format(value)}</b></p>
    <dl>${numbers.fields.map((name) => html`<dt>${measure(name).label}</dt><dd>${format(numbers.get(now.step, at, name), measure(name))}</dd>`)}</dl>
  </div>`;
}
