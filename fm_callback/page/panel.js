// A window onto a board: all windows of the page zoom and move together.

import { locate } from "./board.js";
import { ratio } from "./maps.js";
import { html, signal, useEffect, useLayoutEffect, useRef, useSignal } from "./ui.js";

// scale 1 shows the whole board; x, y are the middle of the window, as parts of the board.
export const zoom = signal({ scale: 1, x: 0.5, y: 0.5 });

const MOST = 40;

export function zoomBy(factor, towards = { x: 0.5, y: 0.5 }) {
  const { scale, x, y } = zoom.value;
  const next = Math.min(Math.max(scale * factor, 1), MOST);
  const keep = (middle, at) => at + ((middle - at) * scale) / next;
  zoom.value = held({ scale: next, x: keep(x, towards.x), y: keep(y, towards.y) });
}

export function unzoom() {
  zoom.value = { scale: 1, x: 0.5, y: 0.5 };
}

// The window does not leave the board.
function held({ scale, x, y }) {
  const edge = 0.5 / scale,
    hold = (value) => Math.min(Math.max(value, edge), 1 - edge);
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
  context.restore();
}

export function Panel({ board, trouble, width, height, label, onPoint }) {
  return html`<${Window} boards=${board ? [{ board }] : []} trouble=${trouble} width=${width} height=${height} label=${label} onPoint=${onPoint} />`;
}

export function Swipe({ left, right, trouble, width, height, names, onPoint }) {
  const at = useSignal(0.5);
  const boards =
    left && right
      ? [
          { board: left, clip: [0, at.value] },
          { board: right, clip: [at.value, 1] },
        ]
      : [];
  return html`<div class="swipe" style=${{ "--at": `${100 * at.value}%` }}>
    <${Window} boards=${boards} trouble=${trouble} width=${width} height=${height} label=${`left ${names[0]}, right ${names[1]}`} onPoint=${onPoint} />
    <i class="rule" aria-hidden="true"></i>
    <input type="range" min="0" max="1000" value=${1000 * at.value} aria-label="swipe handle" onInput=${(event) => (at.value = event.currentTarget.value / 1000)} style=${{ "--part": at.value }} />
  </div>`;
}

function Window({ boards, trouble, width, height, label, onPoint }) {
  const canvas = useRef(null);
  const { scale } = zoom.value,
    pixelRatio = ratio.value;
  useLayoutEffect(() => {
    const { current } = canvas;
    current.width = Math.round(width * pixelRatio);
    current.height = Math.round(height * pixelRatio);
    for (const { board, clip } of boards) paint(current, board, width, height, pixelRatio, clip);
  });
  usePointers(canvas, boards[0]?.board, width, height, onPoint);
  return html`<div class="window" style=${{ width: `${width}px`, height: `${height}px` }}>
    <canvas ref=${canvas} role="img" aria-label=${label} class=${`${boards.length || trouble ? "" : "waiting "}${scale > 1 ? "zoomed" : ""}`} style=${{ width: `${width}px`, height: `${height}px` }}></canvas>
    ${trouble && html`<p class="trouble">${trouble}</p>`}
  </div>`;
}

// Drag to move, two fingers or Ctrl + wheel to zoom, double click to zoom in; and where the pointer is.
function usePointers(canvas, board, width, height, onPoint) {
  const latest = useRef({});
  latest.current = { board, width, height, onPoint };
  useEffect(() => {
    const element = canvas.current,
      down = new Map();
    const onBoard = (event) => {
      const { board, width, height } = latest.current,
        box = element.getBoundingClientRect();
      const { size, left, top } = view(board, width, height);
      return { x: (event.clientX - box.left - left) / size, y: (event.clientY - box.top - top) / size };
    };
    const part = (event) => {
      const { board } = latest.current,
        { x, y } = onBoard(event);
      return { x: x / board.width, y: y / board.height };
    };
    const move = (event) => {
      const { board, onPoint, width, height } = latest.current;
      if (!board) return;
      const before = down.get(event.pointerId);
      if (before && down.size === 1 && zoom.value.scale > 1) {
        const { size } = view(board, width, height);
        zoom.value = held({
          ...zoom.value,
          x: zoom.value.x - (event.clientX - before.clientX) / size / board.width,
          y: zoom.value.y - (event.clientY - before.clientY) / size / board.height,
        });
      } else if (before && down.size === 2) {
        const [other] = [...down].filter(([id]) => id !== event.pointerId).map(([, each]) => each);
        const apart = (one) => Math.hypot(one.clientX - other.clientX, one.clientY - other.clientY);
        zoomBy(apart(event) / apart(before) || 1, part(event));
      }
      if (before) down.set(event.pointerId, event);
      const at = onBoard(event);
      onPoint?.(locate(board, at.x, at.y));
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
    const listeners = {
      pointermove: move,
      pointerdown: press,
      pointerup: lift,
      pointercancel: lift,
      pointerleave: lift,
      wheel,
      dblclick: twice,
    };
    for (const [name, listener] of Object.entries(listeners))
      element.addEventListener(name, listener, { passive: false });
    return () => {
      for (const [name, listener] of Object.entries(listeners)) element.removeEventListener(name, listener);
    };
  }, []);
}
