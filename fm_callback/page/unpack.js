// @ts-check
// The last script of a report, a classic one: unpacks the page and what it shows, which stand in the blocks above it,
// and opens the page's door. `read/pack.py` says how blocks are written.

(async () => {
  const PAIR = 0xe000; // what follows stands for itself, with its highest bit turned
  const TURN = 0x8000;
  // Said, because a style sheet that does not say it is taken to be written as its page is.
  const TYPES = /** @type {Record<string, string>} */ ({
    js: "text/javascript; charset=utf-8",
    css: "text/css; charset=utf-8",
  });

  /** @typedef {[block: number, offset: number, length: number, packed: boolean]} Place */

  const blocks = [...document.querySelectorAll("script[data-as]")];
  const opened = /** @type {(Uint8Array | undefined)[]} */ ([]);

  function block(/** @type {number} */ index) {
    const element = /** @type {HTMLElement} */ (blocks[index]);
    opened[index] ??= (element.dataset.as === "units" ? ofUnits : ofBase64)(element.textContent ?? "");
    element.textContent = "";
    return opened[index];
  }

  function ofUnits(/** @type {string} */ text) {
    const units = new Uint16Array(text.length);
    let size = 0;
    for (let at = 0; at < text.length; at++) {
      const unit = text.charCodeAt(at);
      units[size++] = unit === PAIR ? text.charCodeAt(++at) ^ TURN : unit;
    }
    return new Uint8Array(units.buffer, 0, 2 * size);
  }

  const ofBase64 = (/** @type {string} */ text) => Uint8Array.from(atob(text), (each) => each.charCodeAt(0));

  async function bytes(/** @type {Place} */ [index, offset, length, packed]) {
    const found = block(index).slice(offset, offset + length);
    if (!packed) return found;
    const unpacked = new Blob([found]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Uint8Array(await new Response(unpacked).arrayBuffer());
  }

  const json = async (/** @type {Place} */ place) => JSON.parse(new TextDecoder().decode(await bytes(place)));

  try {
    for (const each of blocks) each.remove();
    const last = blocks.length - 1;
    const { page, held } = await json([last, 4, new DataView(block(last).buffer).getUint32(0, true), true]);
    const addresses = /** @type {Map<string, string>} */ (new Map());
    for (const [path, text] of await json(page)) {
      // A module at an address of its own finds no neighbour: those that it imports stand before it, and have theirs.
      const linked = text.replace(/"page:([^"]+)"/g, (/** @type {string} */ _, /** @type {string} */ other) =>
        JSON.stringify(addresses.get(other)),
      );
      const type = TYPES[path.slice(path.lastIndexOf(".") + 1)];
      addresses.set(path, URL.createObjectURL(new Blob([linked], { type })));
    }
    const places = /** @type {Map<string, Place>} */ (new Map(held));
    const { render } = await import(/** @type {string} */ (addresses.get("report.js")));
    document.body.replaceChildren();
    await render({
      files: (/** @type {string} */ path) => addresses.get(path),
      held: async (/** @type {(string | number)[]} */ ...key) => {
        const place = places.get(key.join("\0"));
        return place ? bytes(place) : null;
      },
    });
  } catch (error) {
    const old = "Is this browser older than Chrome 116, Firefox 115 and Safari 17?";
    document.body.textContent = `This report can't be opened: ${error}. ${old}`;
  }
})();
