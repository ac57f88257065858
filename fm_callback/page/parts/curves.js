// @ts-check
// Curves over steps or layers, drawn by uPlot, which is loaded when the first is shown.

import { load } from "../data/files.js";
import { ink } from "../draw/inks.js";
import { dark } from "../state/host.js";
import { html, useEffect, useRef } from "./ui.js";

let /** @type {Promise<any> | null} */ library = null;

// As the line is drawn: strokes that are shorter than what is between them are dots.
const strokeOf = (dash) => (dash ? (dash[0] < dash[1] ? "dotted" : "dashed") : "solid");

/*
 * x: numbers; lines: [{label, values, ink, dash, width}]; here: where the accent line stands, and whose values are told
 * while the pointer is elsewhere; without it, `hint` is told. onPick(index) when clicked. unit: what x counts; names: x
 * value => text; format: y value => text; range: [low, high] of y where it is fixed.
 */
export function Curves({
  title,
  x,
  lines,
  here,
  hint = "",
  onPick,
  names = String,
  format = String,
  range,
  height = 165,
  level,
  unit,
}) {
  const place = useRef(null);
  const drawn = useRef(null);
  const latest = useRef({});
  latest.current = { here, hint, onPick, x, level, lines, names, format };
  const theme = dark.value;
  useEffect(() => {
    let gone = false;
    library ??= load("vendor/uplot.js").then((module) => module.default);
    library.then((Plot) => {
      if (gone || !place.current) return;
      drawn.current = new Plot(
        options(latest, { range, height, unit, width: place.current.clientWidth }),
        data(latest.current),
        place.current,
      );
    });
    const observer = new ResizeObserver(([entry]) =>
      drawn.current?.setSize({ width: Math.floor(entry.contentRect.width), height }),
    );
    observer.observe(place.current);
    return () => {
      gone = true;
      observer.disconnect();
      drawn.current?.destroy();
      drawn.current = null;
    };
  }, [theme, lines.map((line) => line.label + line.ink + line.dash).join(), height, unit, range?.join()]);
  useEffect(() => {
    drawn.current?.setData(data(latest.current));
    drawn.current?.redraw(false);
    drawn.current?.setLegend();
  });
  const last = lines.map((line) => `${line.label} ${format(line.values.at(-1))}`).join(", ");
  return html`<div class="curves">
    <div ref=${place} role="img" aria-label=${`${title ?? "curves"}: at the end ${last}`}
      style=${{ minHeight: `${height}px` }}></div>
  </div>`;
}

const data = ({ x, lines }) => [
  x,
  ...lines.map((line) => line.values.map((value) => (Number.isFinite(value) ? value : null))),
];

// A plot lives longer than what it shows: all but its series' number and look is taken from what is `latest`.
function options(latest, { range, height, unit, width }) {
  const { lines } = latest.current;
  const axis = { stroke: ink("--soft"), font: "11px system-ui, sans-serif", ticks: { show: false } };
  return {
    width,
    height,
    padding: [8, 12, 0, 0],
    cursor: { y: false, drag: { x: false, y: false }, points: { size: 6 } },
    legend: { live: true, markers: { width: 2, dash: (_, series) => strokeOf(lines[series - 1].dash) } },
    scales: { x: { time: false }, y: range ? { range: () => range } : {} },
    axes: [
      {
        ...axis,
        size: 26,
        label: unit,
        labelFont: axis.font,
        labelSize: 15,
        labelGap: 0,
        grid: { show: false },
        values: (_, ticks) => ticks.map((tick) => (Number.isInteger(tick) ? tick : "")),
      },
      {
        ...axis,
        size: 46,
        grid: { stroke: ink("--line"), width: 1 },
        values: (_, ticks) => ticks.map((tick) => latest.current.format(tick)),
      },
    ],
    series: [
      {
        label: "at",
        value: (_, value) => {
          const { here, hint, names } = latest.current;
          const told = value ?? here;
          return told == null ? hint : names(told);
        },
      },
      ...lines.map((line) => ({
        label: line.label,
        stroke: ink(line.ink),
        width: line.width ?? 1.5,
        dash: line.dash,
        points: { show: line.values.length <= 16, size: 4 },
        value: (_, value, series, index) => {
          const { here, x, lines, format } = latest.current;
          const told = index == null ? lines[series - 1].values[x.indexOf(here)] : value;
          return told == null ? "" : format(told);
        },
      })),
    ],
    hooks: {
      drawClear: [(plot) => rule(plot, latest.current)],
      ready: [
        (plot) =>
          plot.over.addEventListener(
            "click",
            () => plot.cursor.idx != null && latest.current.onPick?.(plot.cursor.idx),
          ),
      ],
    },
  };
}

// The line where we are, and the level of chance.
function rule(plot, { here, level }) {
  const { ctx, bbox } = plot;
  ctx.save();
  ctx.lineWidth = Math.max(1, devicePixelRatio);
  if (level != null && level >= plot.scales.y.min && level <= plot.scales.y.max) {
    const y = plot.valToPos(level, "y", true);
    ctx.strokeStyle = ink("--control");
    ctx.setLineDash([1.5, 3]);
    line(ctx, bbox.left, y, bbox.left + bbox.width, y);
  }
  if (here != null) {
    const x = plot.valToPos(here, "x", true);
    ctx.strokeStyle = ink("--accent");
    ctx.setLineDash([]);
    line(ctx, x, bbox.top, x, bbox.top + bbox.height);
  }
  ctx.restore();
}

function line(ctx, fromX, fromY, toX, toY) {
  ctx.beginPath();
  ctx.moveTo(fromX, fromY);
  ctx.lineTo(toX, toY);
  ctx.stroke();
}
