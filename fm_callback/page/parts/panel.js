// @ts-check
// A window onto a board: all windows of the page zoom and move together.

import { beside, boxOf, locate } from "../draw/board.js";
import { ratio } from "./maps.js";
import { html, signal, useEffect, useLayoutEffect, useRef, useSignal } from "./ui.js";

// scale 1 shows the whole board; x, y are the middle of the window, as parts of the board.
export const zoom = signal({ scale: 1, x: 0.5, y: 0.5 });

const MOST = 40;

export function zoomBy(factor, towards = { x: 0.5, y: 0.5 }) {
  const { scale, x, y } = zoom.value;
  const next = Math.min(Math.max(scale * factor, 1), MOST);
  const keep = (middle, fixed) => fixed + ((middle - fixed) * scale) / next;
  zoom.value = held({ scale: next, x: keep(x, towards.x), y: keep(y, towards.y) });
}

export function unzoom() {
  zoom.value = { scale: 1, x: 0.5, y: 0.5 };
}

// The window does not leave the board.
function held({ scale, x, y }) {
  const edge = 0.5 / scale;
  const hold = (value) => Math.min(Math.max(value, edge), 1 - edge);
  return { scale, x: hold(x), y: hold(y) };
}

// From the window's pixels to the board's.
function view(board, width, height) {
  const { scale, x, y } = zoom.value;
  const size = Math.min(width / board.width, height / board.height) * scale;
  return { size, left: width / 2 - x * board.width * size, top: height / 2 - y * board.height * size };
}

function paint(canvas, board, width, height, pixelRatio, clip) {
  const context = canvas.getContext("2d");
  const { size, left, top } = view(board, width, height);
  context.save();
  if (clip) {
    context.beginPath();
    context.rect(clip[0] * canvas.width, 0, (clip[1] - clip[0]) * canvas.width, canvas.height);
    context.clip();
  }
  context.imageSmoothingEnabled = size * pixelRatio < 1;
  context.imageSmoothingQuality = "high";
  context.drawImage(
    board.canvas,
    left * pixelRatio,
    top * pixelRatio,
    board.width * size * pixelRatio,
    board.height * size * pixelRatio,
  );
  if (board.channels.length > 1) number(context, board, { size, left, top }, pixelRatio);
  context.restore();
}

const LEGIBLE = 40; // pixels that a map is wide at least for its channel's number to stand on it

// The channel's number in the corner of each map, of one size however near one looks.
function number(context, { channels, columns, tile, gap, stretch }, { size, left, top }, pixelRatio) {
  if (tile.width * size < LEGIBLE || tile.height * stretch * size < LEGIBLE) return;
  context.font = `${11 * pixelRatio}px system-ui, sans-serif`;
  context.textBaseline = "top";
  channels.forEach((channel, index) => {
    const x = (left + (index % columns) * (tile.width + gap) * size) * pixelRatio;
    const y = (top + Math.floor(index / columns) * (tile.height + gap) * stretch * size) * pixelRatio;
    const width = context.measureText(String(channel)).width + 6 * pixelRatio;
    context.fillStyle = "rgba(0, 0, 0, 0.6)";
    context.fillRect(x, y, width, 14 * pixelRatio);
    context.fillStyle = "white";
    context.fillText(String(channel), x + 3 * pixelRatio, y + 2 * pixelRatio);
  });
}

// Of panel and swipe: width and height; pointed: a signal of the cell that is pointed at, in any window, null between
// the maps; trouble: what is wrong, in words.
export function Panel({ board, ...window }) {
  return html`<${Window} boards=${board ? [{ board }] : []} ...${window} />`;
}

export function Swipe({ left, right, names, ...window }) {
  const part = useSignal(0.5);
  const halves = [
    { board: left, clip: [0, part.value] },
    { board: right, clip: [part.value, 1] },
  ];
  const swipe = (event) => (part.value = event.currentTarget.value / 1000);
  return html`<div class="swipe" style=${{ "--at": `${100 * part.value}%` }}>
    <${Window} boards=${left && right ? halves : []} label=${`left ${names[0]}, right ${names[1]}`} ...${window} />
    <i class="rule" aria-hidden="true"></i>
    <input type="range" min="0" max="1000" value=${1000 * part.value} aria-label="swipe handle" onInput=${swipe}
      style=${{ "--part": part.value }} />
  </div>`;
}

function Window({ boards, trouble, width, height, label, pointed }) {
  const canvas = useRef(null);
  const { scale } = zoom.value;
  const pixelRatio = ratio.value;
  useLayoutEffect(() => {
    const { current } = canvas;
    current.width = Math.round(width * pixelRatio);
    current.height = Math.round(height * pixelRatio);
    for (const { board, clip } of boards) paint(current, board, width, height, pixelRatio, clip);
  });
  const board = boards[0]?.board;
  usePointers(canvas, board, width, height, pointed);
  const onKey = (event) => {
    const by = MOVES[event.key];
    if (!by || !board) return;
    event.preventDefault();
    const known = pointed.peek() && boxOf(board, pointed.peek()) ? pointed.peek() : null;
    const { width: wide, height: high } = board.map;
    pointed.value = known ? beside(board, known, by) : { channel: board.channels[0], x: wide >> 1, y: high >> 1 };
    const box = boxOf(board, pointed.value);
    if (box) zoom.value = held({ ...zoom.value, x: box.x / board.width, y: box.y / board.height });
  };
  const size = { width: `${width}px`, height: `${height}px` };
  const looks = `${boards.length || trouble ? "" : "waiting "}${scale > 1 ? "zoomed" : ""}`;
  return html`<div class="window" style=${size}>
    <canvas ref=${canvas} role="application" tabindex="0" data-own-keys
      aria-label=${`${label}; arrow keys move from cell to cell`} class=${looks} style=${size}
      onKeyDown=${onKey}></canvas>
    ${board && html`<${Here} board=${board} width=${width} height=${height} pointed=${pointed} />`}
    ${trouble && html`<p class="trouble">${trouble}</p>`}
  </div>`;
}

const MOVES = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

const SEEN = 7; // pixels that the frame of a cell has at least

// The cell that is pointed at, framed in every window. On its own: the boards are not drawn anew.
function Here({ board, width, height, pointed }) {
  const box = pointed.value && boxOf(board, pointed.value);
  if (!box) return null;
  const { size, left, top } = view(board, width, height);
  const [across, down] = [Math.max(box.width * size, SEEN), Math.max(box.height * size, SEEN)];
  return html`<i class="reticle" aria-hidden="true" style=${{
    left: `${left + (box.x + box.width / 2) * size - across / 2}px`,
    top: `${top + (box.y + box.height / 2) * size - down / 2}px`,
    width: `${across}px`,
    height: `${down}px`,
  }}></i>`;
}

// Drag to move, two fingers or Ctrl + wheel to zoom, double click to zoom in; and where the pointer is.
function usePointers(canvas, board, width, height, pointed) {
  const latest = useRef({});
  latest.current = { board, width, height };
  useEffect(() => {
    const element = canvas.current;
    const down = new Map();
    const onBoard = (event) => {
      const { board, width, height } = latest.current;
      const box = element.getBoundingClientRect();
      const { size, left, top } = view(board, width, height);
      return { x: (event.clientX - box.left - left) / size, y: (event.clientY - box.top - top) / size };
    };
    const part = (event) => {
      const { board } = latest.current;
      const { x, y } = onBoard(event);
      return { x: x / board.width, y: y / board.height };
    };
    const drag = (before, event) => {
      const { board, width, height } = latest.current;
      const { size } = view(board, width, height);
      const across = (event.clientX - before.clientX) / size / board.width;
      const along = (event.clientY - before.clientY) / size / board.height;
      zoom.value = held({ ...zoom.value, x: zoom.value.x - across, y: zoom.value.y - along });
    };
    const pinch = (before, event) => {
      const [other] = [...down].filter(([id]) => id !== event.pointerId).map(([, each]) => each);
      const apart = (one) => Math.hypot(one.clientX - other.clientX, one.clientY - other.clientY);
      zoomBy(apart(event) / apart(before) || 1, part(event));
    };
    const move = (event) => {
      const { board } = latest.current;
      const before = down.get(event.pointerId);
      if (!board) return;
      if (before && down.size === 1 && zoom.value.scale > 1) drag(before, event);
      else if (before && down.size === 2) pinch(before, event);
      if (before) down.set(event.pointerId, event);
      const { x, y } = onBoard(event);
      pointed.value = locate(board, x, y);
    };
    const press = (event) => {
      down.set(event.pointerId, event);
      if (zoom.value.scale > 1) element.setPointerCapture(event.pointerId);
    };
    const lift = (event) => down.delete(event.pointerId);
    const wheel = (event) => {
      if (!event.ctrlKey && !event.metaKey) return;
      event.preventDefault();
      if (latest.current.board) zoomBy(Math.exp(-event.deltaY / 200), part(event));
    };
    const twice = (event) => latest.current.board && zoomBy(2, part(event));
    const listeners = Object.entries({
      mousedown: (event) => {
        event.preventDefault(); // what was clicked does not keep the keys
        element.blur();
      },
      pointermove: move,
      pointerdown: press,
      pointerup: lift,
      pointercancel: lift,
      pointerleave: lift,
      wheel,
      dblclick: twice,
    });
    for (const [name, listener] of listeners) element.addEventListener(name, listener, { passive: false });
    return () => {
      for (const [name, listener] of listeners) element.removeEventListener(name, listener);
    };
  }, []);
}
