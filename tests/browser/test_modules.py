"""The page's modules, one by one, against Python: the rules that both sides keep say the same."""

import base64
import contextlib
import io
import math
import struct
import zlib
from collections import OrderedDict

import numpy as np
import pytest
from PIL import Image

from fm_callback.format import NUMBERS, to_grid, to_values
from fm_callback.scores import measures
from fm_callback.write import png

TYPES = {1: 0, 2: 4, 3: 2, 4: 6}  # PNG's kinds of colour by channels


def sent(data):
    return base64.b64encode(data).decode()


BYTES = "const bytes = (text) => Uint8Array.from(atob(text), (each) => each.charCodeAt(0));"
DECODE = f"""{BYTES}
  const text = (found) => {{
    let all = "";
    for (let from = 0; from < found.length; from += 4096) {{
      all += String.fromCharCode(...found.subarray(from, from + 4096));
    }}
    return btoa(all);
  }};
  const one = async ([png, width, height, channels]) => {{
    const fits = (head) => head.width === width && head.height === height && head.channels === channels;
    try {{
      const {{ pixels, palette }} = await decode(bytes(png), fits);
      return [text(pixels), palette && text(palette)];
    }} catch (error) {{
      return String(error.message);
    }}
  }};
  return Promise.all(given.map(one));"""


def decoded(run, pngs, shapes):
    """What the page makes of PNGs: arrays, or what is wrong with them."""
    asked = [[sent(each), *shape] for each, shape in zip(pngs, shapes, strict=True)]
    answers = []
    for answer, (width, height, channels) in zip(run("data/decode.js", "decode", DECODE, asked), shapes, strict=True):
        if isinstance(answer, str):
            answers.append(answer)
        else:
            pixels = np.frombuffer(base64.b64decode(answer[0]), np.uint8)
            answers.append(pixels.reshape((height, width, channels)[: 3 if channels > 1 else 2]))
    return answers


def shapes_of(pictures):
    return [(each.shape[1], each.shape[0], each.shape[2] if each.ndim == 3 else 1) for each in pictures]


def random_pictures(kinds=((), (3,), (4,))):
    rng = np.random.default_rng(0)
    found = []
    for kind in kinds:
        for _ in range(12):
            shape = (*rng.integers(1, 40, 2), *kind)
            smooth = np.add.outer(np.arange(shape[0]) * 3, np.arange(shape[1]) * 5).reshape(
                *shape[:2], *(1,) * len(kind)
            )
            found.append(((smooth + rng.integers(0, rng.integers(2, 256), shape)) % 256).astype(np.uint8))
    return found


def packed(picture, filters, parts=1):
    """A PNG whose rows have these filters, in so many pieces: written after the specification, slowly."""
    rows = picture.reshape(len(picture), -1).astype(int)
    step = rows.shape[1] // picture.shape[1]
    packed = bytearray()
    for number, kind in enumerate(filters):
        row = rows[number]
        above = rows[number - 1] if number else np.zeros_like(row)
        left = np.concatenate([np.zeros(step, int), row[:-step]])
        corner = np.concatenate([np.zeros(step, int), above[:-step]])
        packed.append(kind)
        guess = [
            0 * row,
            left,
            above,
            (left + above) // 2,
            [_paeth(*each) for each in zip(left, above, corner, strict=True)],
        ]
        packed += ((row - guess[kind]) % 256).astype(np.uint8).tobytes()
    data = zlib.compress(bytes(packed))
    pieces = np.array_split(np.frombuffer(data, np.uint8), parts)
    height, width = picture.shape[:2]
    return png_file(width, height, TYPES[step], *[each.tobytes() for each in pieces])


def _paeth(left, above, corner):
    guess = left + above - corner
    return min((abs(guess - left), 0, left), (abs(guess - above), 1, above), (abs(guess - corner), 2, corner))[2]


def png_file(width, height, colour, *pieces, depth=8, interlaced=0):
    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlaced)
    chunks = [(b"IHDR", head), (b"tEXt", b"a\0b"), *[(b"IDAT", each) for each in pieces], (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    )


def test_our_pictures_are_decoded(run):
    pictures = random_pictures()
    for found, picture in zip(
        decoded(run, [png.encode(each) for each in pictures], shapes_of(pictures)), pictures, strict=True
    ):
        assert np.array_equal(found, picture)


def test_pictures_with_a_palette_are_positions_in_it(run):
    palette = bytes(range(30))
    picture = np.random.default_rng(1).integers(0, 10, (7, 9), np.uint8)
    asked = [[sent(png.encode(picture, palette)), 9, 7, 1]]
    pixels, colours = run("data/decode.js", "decode", DECODE, asked)[0]
    assert base64.b64decode(pixels) == picture.tobytes() and base64.b64decode(colours) == palette


def test_pillows_pictures_are_decoded(run):
    pictures = random_pictures()
    pngs = []
    for level, picture in enumerate(pictures):
        file = io.BytesIO()
        Image.fromarray(picture).save(file, "png", compress_level=level % 10)
        pngs.append(file.getvalue())
    for found, picture in zip(decoded(run, pngs, shapes_of(pictures)), pictures, strict=True):
        assert np.array_equal(found, picture)


def test_every_filter_is_undone(run):
    rng = np.random.default_rng(2)
    pictures = [each for each in random_pictures(((), (2,), (3,), (4,))) if len(each) > 1]
    kinds = [rng.integers(0, 5, len(each)) for each in pictures]
    kinds[:5] = [np.full(len(each), kind) for kind, each in enumerate(pictures[:5])]
    pngs = [
        packed(each, kind, parts=1 + count % 3) for count, (each, kind) in enumerate(zip(pictures, kinds, strict=True))
    ]
    for file, picture in zip(pngs, pictures, strict=True):  # Pillow agrees with what is written here
        assert np.array_equal(np.asarray(Image.open(io.BytesIO(file))), picture)
    for found, picture in zip(decoded(run, pngs, shapes_of(pictures)), pictures, strict=True):
        assert np.array_equal(found, picture)


def test_what_is_no_picture_is_refused(run):
    rows = zlib.compress(bytes(5) * 4)
    right = png_file(4, 4, 0, rows)
    wrong = [
        right[:-30],
        b"",
        b"\x89PNG\r\n\x1a\n",
        png_file(4, 4, 0),
        png_file(4, 4, 0, rows, depth=4),
        png_file(4, 4, 0, rows, interlaced=1),
        png_file(4, 4, 7, rows),
        png_file(4, 4, 0, rows[:-3]),
        png_file(4, 4, 0, zlib.compress(bytes(19))),
        png_file(4, 4, 0, zlib.compress(bytes(21))),
        png_file(4, 4, 0, zlib.compress(b"\5" * 20)),
        png_file(4, 4, 0, b"no deflate"),
        png_file(5, 4, 0, rows),
    ]
    assert not isinstance(decoded(run, [right], [(4, 4, 1)])[0], str)
    assert all(isinstance(each, str) for each in decoded(run, wrong, [(4, 4, 1)] * len(wrong)))


def test_a_small_file_does_not_become_a_large_picture(run):
    large = zlib.compress(bytes(2**28), 9)
    bombs = [png_file(4, 4, 0, large), png_file(60000, 60000, 0, large)]
    body = f"""{BYTES}
      let most = 0;
      const real = ReadableStreamDefaultReader.prototype.read;
      ReadableStreamDefaultReader.prototype.read = async function () {{
        const found = await real.call(this);
        most += found.value?.length ?? 0;
        return found;
      }};
      const told = [];
      for (const png of given) {{
        told.push(await decode(bytes(png), (head) => head.width === 4 && head.height === 4).catch((error) => error.message));
      }}
      return [told, most];"""
    told, most = run("data/decode.js", "decode", body, [sent(each) for each in bombs])
    assert told == ["more than its size", "a picture of another size"]
    assert most < 2**20


def test_a_pixel_is_the_value_that_python_reads(run):
    rng = np.random.default_rng(3)
    low = (10.0 ** rng.uniform(-8, 8, 50) * rng.choice([-1, 1], 50)).astype("f4")
    high = (low + 10.0 ** rng.uniform(-8, 8, 50)).astype("f4")
    body = "return given.map(([low, high]) => Array.from({ length: 256 }, (_, pixel) => Math.fround(valueOf(pixel, [low, high]))));"
    ranges = np.stack([low, high], 1).astype(float).tolist()
    found = np.array(run("draw/values.js", "valueOf", body, ranges), "f4")
    assert np.array_equal(found.T, to_values(np.repeat(np.arange(256)[:, None], 50, 1), low, high))


def test_a_cell_of_a_stored_grid_is_the_one_that_python_reads(run):
    rng = np.random.default_rng(4)
    maps = rng.integers(0, 256, (7, 3, 5), np.uint8)
    grid = to_grid(maps, 3, 3)
    layer = {"rows": 3, "columns": 3, "map": [3, 5]}
    body = """const [pixels, layer] = given, picture = { pixels, width: 15 };
      return Array.from({ length: 7 }, (_, place) => Array.from({ length: 15 }, (_, cell) =>
        valueAt(picture, layer, place, { x: cell % 5, y: Math.floor(cell / 5) }, [0, 255])));"""
    found = run("draw/values.js", "valueAt", body, [grid.ravel().tolist(), layer])
    assert np.array_equal(np.array(found).reshape(7, 3, 5), maps)


def test_a_summary_is_that_of_the_measures(run):
    rng = np.random.default_rng(5)
    scores = [rng.choice([0.1, 0.5, 0.9, np.nan], rng.integers(1, 9)).astype("f4") for _ in range(60)]
    body = "return given.map((values) => summary(values.map((value) => value ?? NaN)));"
    found = run(
        "data/numbers.js", "summary", body, [[None if np.isnan(x) else float(x) for x in each] for each in scores]
    )
    for ours, each in zip(found, scores, strict=True):
        theirs = measures.summary(each)
        numbers = [ours["highest"], ours["median"], ours["lowest"]]
        assert np.allclose(numbers, [theirs.best, theirs.median, theirs.lowest], equal_nan=True)
        assert ours["best"] == theirs.channel


def test_numbers_that_grow_are_those_that_came_whole(run):
    body = """const rows = given.map((row) => Float32Array.from(row)), fields = ["low", "high"];
      const whole = new Numbers(fields, 3, [0, 1, 2], rows);
      const part = new Numbers(fields, 3, [0], rows.slice(0, 1));
      part.summary(0, "low"), part.summary(1, "low"), part.range("layer");
      const grown = part.and([1, 2], rows.slice(1));
      const told = (numbers) => [0, 1, 2].map((step) => [numbers.summary(step, "low"), numbers.history(step, "high"),
        numbers.range("layer"), numbers.range("channel", step, step)]);
      return [told(whole), told(grown)];"""
    whole, grown = run("data/numbers.js", "Numbers", body, np.random.default_rng(6).random((3, 6)).tolist())
    assert whole == grown


def test_a_status_is_that_of_the_measures(run):
    rng = np.random.default_rng(0)
    tables = rng.choice([0, 0, 1, 1e-12, np.nan, np.inf], (40, 12, 7)).astype("f4")
    tables[..., 6] = rng.choice([0, 0, 3], (40, 12))
    body = """const [fields, tables] = given;
      const values = (table) => Float32Array.from(table.flat(), (value) => value === null ? NaN : Number(value));
      return tables.map((table) => new Numbers(fields, 12, [0], [values(table)]).status(0));"""
    plain = [
        [[None if np.isnan(x) else str(x).replace("inf", "Infinity") for x in row] for row in one] for one in tables
    ]
    found = run("data/numbers.js", "Numbers", body, [list(NUMBERS), plain])
    expected = [[int(each) for each in measures.status(table)] for table in tables]
    assert len({each for row in expected for each in row}) == 4
    assert found == expected


def test_colours_are_those_of_the_values(run):
    rng = np.random.default_rng(7)
    cases = [[*sorted(rng.normal(size=2)), *sorted(rng.normal(size=2))] for _ in range(20)]
    body = """const { MAPS } = await import("/draw/scale.js");
      const all = Object.fromEntries(Object.entries(MAPS).map(([name, map]) => [name, [...map]]));
      return [all, given.map(([low, high, from, to]) => Object.keys(MAPS).map((name) => [name, [...levels(name, [low, high], [from, to])]]))];"""
    maps, found = run("draw/scale.js", "levels", body, cases)
    for (low, high, start, end), colours in zip(cases, found, strict=True):
        values = low + np.arange(256) / 255 * (high - low)
        for name, shades in colours:
            most = max(abs(start), abs(end))
            first, last = (-most, most) if name == "diverging" else (start, end)
            places = np.clip(np.floor(255 * (values - first) / (last - first) + 0.5), 0, 255).astype(int)
            assert np.array_equal(np.array(maps[name])[places], shades), name


def test_colours_of_the_style_are_read(run):
    body = "return given.map(parts);"
    found = run("draw/scale.js", "parts", body, ["#fff", " #1d1d1f", "#C8321F"])
    assert found == [[255, 255, 255], [29, 29, 31], [200, 50, 31]]


def test_columns_of_a_reduced_strip_are_its_cells_sorted(run):
    rng = np.random.default_rng(8)
    strips = rng.integers(0, 256, (4, 1, 1000), np.uint8)
    strips[1] = 9
    strips[2, 0, 333] = 255
    layer = {"rows": 4, "columns": 1, "map": [1, 1000], "channels": list(range(4))}
    body = """const [pixels, layer, sizes] = given, picture = { pixels, width: 1000, height: 4 };
      return sizes.map(([width, height]) => [...reduce(picture, layer, width, height).pixels]);"""
    sizes = [(100, 10), (100, 4), (10, 7), (250, 1), (1000, 3), (2000, 2)]
    found = run("draw/tiles.js", "reduce", body, [to_grid(strips, 4, 1).ravel().tolist(), layer, sizes])
    for (width, height), pixels in zip(sizes, found, strict=True):
        shown = np.array(pixels).reshape(4, height, width)
        if width >= 1000:
            assert np.array_equal(shown, np.broadcast_to(np.repeat(strips, width // 1000, 2), shown.shape))
            continue
        columns = np.sort(strips.reshape(4, width, 1000 // width))
        parts = np.linspace(1, 0, height) if height > 1 else [0.5]
        expected = np.quantile(columns, parts, axis=2).transpose(1, 0, 2)
        assert np.abs(shown - expected).max() <= 0.5 + 1e-9, (width, height)


def test_a_board_fits_the_canvas_of_every_browser_and_keeps_its_proportions(run):
    layers = [
        ((1, 66150), 32),
        ((1, 1_000_000), 40),
        ((1, 500), 10_000),
        ((1, 7), 3),
        ((1024, 1024), 48),
        ((3, 5), 70),
        ((80, 3000), 32),
        ((1, 1), 2048),
        ((3000, 2), 4),
    ]
    body = """return given.map(([map, count]) => [300, 1200, 40000].map((detail) =>
      board({ map }, count, { aspect: 1.3, detail })));"""
    for ((high, wide), count), boards in zip(layers, run("draw/geometry.js", "board", body, layers), strict=True):
        for detail, each in zip((300, 1200, 40000), boards, strict=True):
            width = each["columns"] * (each["width"] + each["gap"]) - each["gap"]
            height = each["rows"] * (each["height"] + each["gap"]) - each["gap"]
            assert max(width, height) <= 2**14 and width * height <= 1.2 * 2**24, (high, wide, count, detail)
            assert each["columns"] * each["rows"] >= count and min(each["width"], each["height"]) >= 1
            if max(high, wide) >= 64:
                assert width <= max(1.1 * detail, 2 * each["columns"]), "no more than is seen"
            shape = each["height"] * each["stretch"] / each["width"]
            assert shape == pytest.approx(max(high / wide, min(1 / 16, each["columns"] / 1.3 / each["rows"])))


def test_a_layer_stands_for_anothers_by_name_or_else_by_number_kind_and_shape(run):
    def layer(path, number, kind="Conv2D", shape=(8, 8, 4)):
        return {"name": path, "path": path, "number": number, "kind": kind, "shape": shape}

    def asked(wanted, *drawable):
        body = "const [layer, drawable] = given; return counterpart(layer, { drawable })?.name ?? null;"
        return run("data/pairs.js", "counterpart", body, [wanted, drawable])

    named, first, second = layer("head", 3), layer("m/conv2d", 1), layer("m/conv2d_1", 2)
    assert asked(named, layer("conv2d_7", 3), layer("head", 5)) == "head", "somebody gave it this name"
    assert asked(first, layer("m/conv2d", 1, shape=(4, 4, 8))) == "m/conv2d", "the same place has the same name"
    # A process counts the layers that it makes: what is conv2d_1 in one run is another layer than in the next.
    assert asked(second, layer("m/conv2d_1", 1), layer("m/conv2d_2", 2)) == "m/conv2d_2"
    assert asked(second, layer("m/conv2d_1", 1)) is None
    assert asked(named, layer("tail", 3, shape=(8, 8, 2)), layer("other", 3, kind="Conv3D")) is None
    assert asked(named, layer("tail", 3)) == "tail"
    transposed = layer("conv2d_transpose_4", 2, kind="Conv2DTranspose")
    assert asked(transposed, layer("conv2d_transpose_4", 1, kind="Conv2DTranspose")) is None
    block = layer("block_1", None, kind="Block")
    assert asked(block, layer("block_1", None, kind="Block")) == "block_1"
    assert asked(block, layer("block_2", None, kind="Block")) is None


def test_an_input_is_drawn_no_larger_than_it_is_shown(run):
    rng = np.random.default_rng(9)
    body = f"""{BYTES}
      const {{ paintLabels }} = await import("/draw/probe.js");
      return given.map(([text, height, width, channels]) => {{
        const pixels = bytes(text);
        const shown = paintInput({{ width, height, channels, pixels }});
        const labels = [{{ colour: "#ff0000" }}, {{ colour: "#00ff00" }}];
        const painted = channels === 1 ? [...paintLabels({{ width, height, pixels, labels }}).data] : null;
        return [shown.width, shown.height, [...shown.data], painted];
      }});"""
    pictures = [
        rng.integers(0, 2, (6, 9), np.uint8),
        rng.integers(0, 256, (6, 9, 3), np.uint8),
        rng.integers(0, 256, (6, 9, 4), np.uint8),
        rng.integers(0, 256, (2048, 1024, 3), np.uint8),
        (np.arange(66150) % 3 == 0).astype(np.uint8)[None],
    ]
    given = [[sent(each.tobytes()), *each.shape, *[1][: 3 - each.ndim]] for each in pictures]
    found = run("draw/probe.js", "paintInput", body, given)
    for picture, (width, height, pixels, labels) in zip(pictures, found, strict=True):
        shown = np.array(pixels).reshape(height, width, 4)
        if picture.size < 1000:
            colours = picture if picture.ndim == 3 else picture[..., None].repeat(3, 2)
            assert np.array_equal(shown[..., : colours.shape[2]], colours)
            assert colours.shape[2] == 4 or (shown[..., 3] == 255).all()
            if labels:
                assert np.array_equal(np.array(labels).reshape(height, width, 4)[..., 1] == 255, picture == 1)
        elif height > width:
            assert (height, width) == (1024, 512)
            assert np.abs(shown[..., :3] - picture.reshape(1024, 2, 512, 2, 3).mean((1, 3))).max() <= 0.5
        else:
            assert (height, width) == (64, 1024)
            assert (shown[0, :, 0] == 1).all() and (shown[-1, :, 0] == 0).all()
            green = np.array(labels).reshape(height, width, 4)[..., 1] == 255
            assert np.abs(green.mean(0) - 1 / 3).max() < 0.03, "a column shows the shares of its labels"


def test_maps_are_averaged_down_and_repeated_up(run):
    rng = np.random.default_rng(8)
    maps = rng.integers(0, 256, (6, 8, 12), np.uint8)
    maps[2] = 7
    layer = {"rows": 2, "columns": 3, "map": [8, 12], "channels": list(range(6))}
    body = """const [pixels, layer, sizes] = given, picture = { pixels, width: 36, height: 16 };
      return sizes.map(([width, height]) => {
        const { pixels, still } = reduce(picture, layer, width, height);
        return [[...pixels], still];
      });"""
    sizes = [(12, 8), (6, 4), (3, 2), (24, 16), (36, 8)]
    given = [to_grid(maps, 2, 3).ravel().tolist(), layer, sizes]
    for (width, height), (pixels, still) in zip(sizes, run("draw/tiles.js", "reduce", body, given), strict=True):
        expected = maps.astype(float)
        for axis, (size, full) in enumerate(((height, 8), (width, 12)), 1):
            if size >= full:
                expected = np.repeat(expected, size // full, axis)
            else:
                expected = np.stack(np.split(expected, size, axis), axis).mean(axis + 1)
        assert np.array_equal(np.array(pixels).reshape(6, height, width), np.floor(expected + 0.5)), (width, height)
        assert still == [False, False, True, False, False, False]


def test_maps_stand_without_holes_where_that_is_possible(run):
    cases = [(h, w, count) for h in (1, 4, 32) for w in (1, 7, 64) for count in (1, 2, 3, 7, 16, 30, 64, 97)]
    body = "return given.map(([height, width, count]) => columnsFor({ map: [height, width] }, count, 2));"
    for (height, width, count), columns in zip(cases, run("draw/geometry.js", "columnsFor", body, cases), strict=True):
        ideal = math.sqrt(2 * count * height / width)
        even = [each for each in range(1, count + 1) if count % each == 0 and 0.7 * ideal <= each <= 1.7 * ideal]
        assert 1 <= columns <= count
        if even:
            assert columns in even
            assert abs(math.log(columns / ideal)) <= min(abs(math.log(each / ideal)) for each in even) + 1e-9
        else:
            assert columns == min(count, math.ceil(ideal))


def test_a_sheet_fits_its_width(run):
    body = """return given.map(([height, width, count, room]) =>
      sheet({ map: [height, width] }, count, room, 44));"""
    cases = [(h, w, n, room) for h in (4, 32) for w in (4, 32) for n in (1, 2, 16, 64, 97) for room in (150, 290, 760)]
    for (_, _, count, room), found in zip(cases, run("draw/geometry.js", "sheet", body, cases), strict=True):
        assert found["whole"]["width"] <= max(room, 3 * found["columns"])
        assert found["whole"]["width"] == found["columns"] * (found["width"] + 1) - 1
        rows = math.ceil(count / found["columns"])
        assert found["whole"]["height"] == rows * (found["height"] + 1) - 1


def test_the_first_and_the_early_steps_are_chosen(run):
    cases = [(length, count) for length in (1, 2, 5, 30, 200) for count in (1, 2, 4, 6)]
    body = "return given.map(([length, count]) => geometric(Array.from({ length }, (_, step) => 10 * step), count));"
    for (length, count), found in zip(cases, run("data/spread.js", "geometric", body, cases), strict=True):
        last = 10 * (length - 1)
        assert found == sorted(set(found)) and set(found) <= set(range(0, last + 1, 10))
        assert len(found) == min(count, length) and found[-1] == last
        assert count < 2 or found[0] == 0
        assert min(count, length) < 3 or found[1] == 10, "most happens in the first epoch"
        gaps = np.diff(found)
        assert all(gaps[:-1] <= gaps[1:] + 10), "the later, the wider"


def test_a_shelf_keeps_what_was_used_last(run):
    rng = np.random.default_rng(9)
    acts = [[bool(rng.random() < 0.5), f"key {rng.integers(12)}", int(rng.integers(1, 40))] for _ in range(600)]
    body = """const shelf = new Shelf(100);
      return given.map(([put, key, bytes]) => {
        if (put) shelf.put(key, bytes, bytes);
        const found = put ? null : (shelf.get(key) ?? null);
        return [found, [...shelf.items.keys()], shelf.used];
      });"""
    kept: OrderedDict[str, int] = OrderedDict()
    for (put, key, size), (found, keys, used) in zip(acts, run("data/shelf.js", "Shelf", body, acts), strict=True):
        if put:
            kept[key] = size
            kept.move_to_end(key)
            while sum(kept.values()) > 100 and len(kept) > 1:
                kept.popitem(last=False)
        else:
            assert found == kept.get(key)
            with contextlib.suppress(KeyError):
                kept.move_to_end(key)
        assert keys == list(kept) and used == sum(kept.values())


QUEUE = """
  const layers = ["a", "b", "c", "d"].map((name) => ({ name, run: { id: "run" } }));
  const wish = (layer, step, image = 0, version = "v") =>
    ({ key: [layers[layer].name, step, image, version].join(), layer: layers[layer], step, image, version });
  const asked = [], held = [];
  let answer = (wishes) => new Map(wishes.map(({ key }) => [key, new TextEncoder().encode(key)]));
  const queue = new Requests({
    fetch: (wishes) => {
      asked.push(wishes.map(({ key }) => key));
      return new Promise((resolve, reject) => held.push(() => {
        try { resolve(answer(wishes)); } catch (error) { reject(error); }
      }));
    },
    decode: async ({ key }, png) => ({ key, pixels: png, text: new TextDecoder().decode(png) }),
  });
  const rest = () => new Promise((resolve) => setTimeout(resolve, 5));
  const release = async () => {
    await rest();
    while (held.length) {
      held.splice(0).forEach((each) => each());
      await rest();
    }
  };
  const heard = [];
  const hear = (name) => (found) => heard.push([name, found instanceof Error ? found.message : found.text]);
"""


def queue(run, body):
    return run("data/requests.js", "Requests, choose", QUEUE + body)


def test_wishes_are_bundled_answered_and_never_asked_twice(run):
    asked, heard, count = queue(
        run,
        """for (let layer = 0; layer < 4; layer++) for (let step = 0; step < 30; step++) {
             queue.want(wish(layer, step), hear(`${"abcd"[layer]},${step},0,v`));
             if (step % 3 === 0) queue.want(wish(layer, step), hear(`${"abcd"[layer]},${step},0,v`));
           }
           await release();
           for (let step = 0; step < 30; step++) queue.want(wish(0, step), hear(`a,${step},0,v`));
           await release();
           return [asked, heard, queue.urgent.size];""",
    )
    keys = [key for bundle in asked for key in bundle]
    assert len(keys) == len(set(keys)) == 120
    assert all(len(bundle) <= 12 for bundle in asked)
    assert len(heard) == 120 + 40 + 30 and all(name == text for name, text in heard)
    assert count == 0


def test_the_newest_wishes_are_asked_for_first_and_withdrawn_ones_not_at_all(run):
    asked, heard = queue(
        run,
        """const withdraw = Array.from({ length: 100 }, (_, step) => queue.want(wish(0, step), hear("old")));
           await rest();
           queue.want(wish(1, 7), hear("new"));
           withdraw.forEach((each) => each());
           await release();
           return [asked, heard];""",
    )
    assert [len(bundle) for bundle in asked] == [12] * 6 + [1]
    assert asked[-1] == ["b,7,0,v"] and heard == [["new", "b,7,0,v"]]


def test_what_may_be_wanted_comes_after_what_is(run):
    asked, ready = queue(
        run,
        """queue.prefetch([[wish(0, 1), wish(1, 1)], [wish(0, 2), wish(1, 2)], [wish(2, 3)]]);
           queue.want(wish(3, 0), hear("now"));
           await rest();
           await release();
           await rest();
           return [asked, [queue.ready(wish(0, 1))?.text, queue.ready(wish(2, 3))?.text]];""",
    )
    assert asked[0] == ["d,0,0,v"]
    assert sorted(key for bundle in asked[1:] for key in bundle) == [
        "a,1,0,v",
        "a,2,0,v",
        "b,1,0,v",
        "b,2,0,v",
        "c,3,0,v",
    ]
    assert ready == ["a,1,0,v", "c,3,0,v"], "and is decoded in advance"


def test_what_did_not_fit_is_asked_for_again_and_what_is_not_there_is_said(run):
    asked, heard = queue(
        run,
        """let room = 2;
           const whole = answer;
           answer = (wishes) => new Map([...whole(wishes)].slice(0, room).map(([key, png]) => [key, key[0] === "b" ? null : png]));
           for (const step of [0, 1, 2, 3, 4]) queue.want(wish(0, step), hear("a"));
           queue.want(wish(1, 0, 1), hear("b"));
           await release();
           room = 0;
           queue.want(wish(2, 0), hear("c"));
           await release();
           answer = () => { throw new Error("gone"); };
           queue.want(wish(3, 0), hear("d"));
           await release();
           return [asked, heard];""",
    )
    assert sorted(text for name, text in heard if name == "a") == [f"a,{step},0,v" for step in range(5)]
    told = {name: text for name, text in heard if name != "a"}
    assert told == {"b": "The log holds no picture here.", "c": "The answer holds no picture.", "d": "gone"}
    assert len(asked) < 10


def test_a_request_is_of_one_run_image_and_version_and_has_no_gaps(run):
    bundles = queue(
        run,
        """const random = (most) => Math.floor(most * Math.random());
           return Array.from({ length: 300 }, () => {
             const known = new Map();
             for (let count = 0; count < 60; count++) {
               const each = wish(random(4), random(9), random(2), "vw"[random(2)]);
               known.set(each.key, each);
             }
             const waiting = [...known.values()], first = waiting[random(waiting.length)];
             return [first.key, choose(first, waiting, 12).map(({ key }) => key)];
           });""",
    )
    for first, keys in bundles:
        parts = [key.split(",") for key in keys]
        layers, steps = {part[0] for part in parts}, {part[1] for part in parts}
        assert len(keys) == len(set(keys)) == len(layers) * len(steps) <= 12
        assert {tuple(part[2:]) for part in parts} == {tuple(first.split(",")[2:])}
        assert first.split(",")[0] in layers


@pytest.mark.parametrize(
    ("value", "kind", "text"),
    [
        (None, "value", "–"),
        (0.5, "score", "0.50"),
        (0.031, "share", "3.1 %"),
        (0.31, "share", "31 %"),
        (7, "count", "7"),
        (-1234.5, "value", "−1230"),
        (0.00001, "value", "1.0e−5"),
        (123456789.0, "value", "1.2e8"),
    ],
)
def test_numbers_are_written_by_their_kind(run, value, kind, text):
    assert run("data/measures.js", "format", "return format(given[0], { kind: given[1] });", [value, kind]) == text
