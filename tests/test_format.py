"""The contract: records and heads, facts both ways, pixels and values, grids and tiles, names."""

import contextlib
import dataclasses
import io
import json

import hypothesis
import hypothesis.extra.numpy as npst
import hypothesis.strategies as st
import numpy as np
import pytest
from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import PyRecordReader_New

from fm_callback import format as fmt
from fm_callback import tfrecord
from fm_callback.write.event_copies import layer_tags, tags


def conv(**changes):
    values = dict(
        name="a/b", path="a/b", shape=(40, 40, 128), map=(40, 40), channels=(0, 1), rows=1, columns=2, fields=("low", "high"),
        summaries=("effective_rank",), kind="Conv2D", number=12, kernel=(3, 3), planar=True, cells={"edges": 4},
    )  # fmt: skip
    return fmt.LayerFacts(**values | changes)


def run(**changes):
    values = dict(
        first_step=3, layers=(conv(),), step_unit="batch", probe=fmt.ProbeFacts(9, 4, "digest", "[0, 1]"),
        labels=(fmt.Label("background", 0), fmt.Label("pet", 1, "#00ff00", foreground=True)),
        measures={"low": {"label": "lowest"}}, model={"name": "m"}, images=False,
        prediction=fmt.PredictionFacts("labels", (fmt.Label("no", 0), fmt.Label("yes", 1)), "head", (1, -1), (20, 30)),
    )  # fmt: skip
    return fmt.RunFacts(**values | changes)


def data_of(record):
    """What is in the frame of the one record."""
    (data,) = tfrecord.records(io.BytesIO(record))
    return data


def head_of(record):
    return fmt.read_head(data_of(record))


# Frames -------------------------------------------------------------------------------------------------------------


def records(content):
    return list(tfrecord.records(io.BytesIO(content)))


@hypothesis.given(st.lists(st.binary(max_size=300), max_size=5))
def test_records_survive_the_way_through_a_file(payloads):
    assert records(b"".join(map(tfrecord.pack, payloads))) == payloads


def test_tensorboards_own_reader_reads_our_records(tmp_path):
    payloads = [b"", b"one", bytes(range(256)) * 50]
    path = tmp_path / "records"
    path.write_bytes(b"".join(map(tfrecord.pack, payloads)))
    reader, read = PyRecordReader_New(str(path)), []
    for _ in payloads:
        reader.GetNext()
        read.append(reader.record())
    assert read == payloads


@hypothesis.given(st.lists(st.binary(min_size=1, max_size=50), min_size=1, max_size=4), st.data())
def test_a_cut_anywhere_leaves_the_whole_records_before_it(payloads, data):
    whole = b"".join(map(tfrecord.pack, payloads))
    at = data.draw(st.integers(0, len(whole)))
    ends = [sum(len(tfrecord.pack(each)) for each in payloads[: count + 1]) for count in range(len(payloads))]
    assert records(whole[:at]) == payloads[: sum(end <= at for end in ends)]


@hypothesis.given(st.binary(min_size=1, max_size=60), st.data())
def test_a_damaged_byte_is_never_read_as_good(payload, data):
    whole = bytearray(tfrecord.pack(payload))
    whole[data.draw(st.integers(0, len(whole) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    assert records(bytes(whole)) == []


@hypothesis.given(st.binary(max_size=200))
def test_any_bytes_are_read_without_an_error(data):
    records(data)
    for read in (fmt.head_length, fmt.read_head, fmt.from_json):
        with contextlib.suppress(fmt.DamagedError):
            read(data)


# Heads --------------------------------------------------------------------------------------------------------------


def test_the_layout_is_the_one_that_the_table_describes():
    """Read back by hand, as the module's docstring says."""
    step = fmt.step_record(7, 1.5, [fmt.LayerStep([b"png0", b"png1"], np.float32([[1, 2], [3, 4]]), np.float32([5]))])
    data = data_of(step)
    length = int.from_bytes(data[4:8], "little")
    head, blobs = json.loads(data[12 : 12 + length]), data[12 + length :]
    assert data[:4] == b"fmap" and data[8:12] == tfrecord.checksum(data[12 : 12 + length])
    assert (head["kind"], head["step"], head["wall_time"]) == ("step", 7, 1.5)

    def blob(reference):
        offset, length, checksum = reference
        assert checksum == fmt.google_crc32c.value(blobs[offset : offset + length])
        return blobs[offset : offset + length]

    (layer,) = json.loads(blob(head["layers"]))
    assert [blob(each) for each in layer["maps"]] == [b"png0", b"png1"]
    assert (
        blob(layer["numbers"]) == np.float32([1, 2, 3, 4]).tobytes()
        and blob(layer["summaries"]) == np.float32([5]).tobytes()
    )


def test_the_layout_of_a_prediction_is_the_one_that_the_table_describes():
    scores = np.arange(12, dtype=np.float32).reshape(2, 2, 3)
    data = data_of(fmt.step_record(7, 1.5, [], fmt.PredictionStep([b"png0", b"png1"], scores)))
    length = int.from_bytes(data[4:8], "little")
    head, blobs = json.loads(data[12 : 12 + length]), data[12 + length :]
    blob = lambda reference: blobs[reference[0] : reference[0] + reference[1]]  # noqa: E731
    entry = json.loads(blob(head["prediction"]))
    assert [blob(each) for each in entry["maps"]] == [b"png0", b"png1"] and blob(entry["scores"]) == scores.tobytes()
    assert "prediction" not in head_of(fmt.step_record(7, 1.5, []))


def test_a_run_survives_its_record():
    record = fmt.run_record(run(), [b"picture"], [b"label", b"label2"])
    read = fmt.RunFacts.parse(head_of(record))
    assert dataclasses.replace(read, probe=run().probe) == run()
    assert [len(each) for each in (read.probe.pictures, read.probe.labels)] == [1, 2]
    assert read.same_run(run()) and read.same_run(run(first_step=9, model={}, measures={}))
    others = {
        "layers": (conv(rows=2),),
        "step_unit": "epoch",
        "images": True,
        "labels": (),
        "probe": fmt.ProbeFacts(9, 4, "other"),
        "prediction": None,
    }
    assert not any(read.same_run(run(**{key: value})) for key, value in others.items())


def test_equal_facts_are_equal_bytes():
    assert fmt.run_record(run()) == fmt.run_record(run()) != fmt.run_record(run(first_step=4))


@hypothesis.given(st.binary(min_size=1, max_size=60), st.data())
def test_a_damaged_head_is_told(blob, data):
    blobs = fmt.Blobs()
    whole = bytearray(data_of(fmt.pack_record({"kind": "step", "step": 1, "at": blobs.add(blob)}, blobs)))
    whole[data.draw(st.integers(0, len(whole) - len(blob) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(fmt.DamagedError):
        fmt.read_head(bytes(whole))


# Tolerance ----------------------------------------------------------------------------------------------------------


def stored(**changes):
    return json.loads(fmt.to_json(run().head())) | changes


def layer(**changes):
    return stored()["layers"][0] | changes


def test_what_is_new_is_ignored_and_what_is_missing_has_a_default():
    newer = stored(
        format=3,
        novelty={"of": "later"},
        layers=[layer(dreams=1)],
        labels=[{"name": "pet", "sound": "meow"}],
        prediction=stored()["prediction"] | {"truth": [0], "mood": 7},
    )
    read = fmt.RunFacts.parse(newer)
    assert read.format == 3 and read.layers == (conv(),) and read.labels == (fmt.Label("pet"),)
    assert read.prediction == dataclasses.replace(run().prediction, truth=(0,))
    needed = ("name", "path", "shape", "map", "channels", "rows", "columns", "fields")
    least = fmt.RunFacts.parse({"first_step": 0, "layers": [{key: layer()[key] for key in needed}]})
    assert least.layers == (fmt.LayerFacts(**{key: getattr(conv(), key) for key in needed}),)
    assert (least.step_unit, least.probe, least.labels, least.images) == ("epoch", fmt.ProbeFacts(), (), True)
    assert least.prediction is None


@pytest.mark.parametrize(
    "damage",
    [
        {"rows": None}, {"rows": 0}, {"rows": True}, {"columns": 2**31}, {"channels": []}, {"channels": ["a"]}, {"channels": 3},
        {"shape": []}, {"shape": [40, 0, 128]}, {"shape": "40"}, {"map": [40]}, {"map": [2**20, 2**20]}, {"fields": [1]},
        {"fields": ["low", "low"]}, {"path": 5}, {"cells": {"edges": "many"}}, {"cells": 3}, {"kernel": 3}, {"number": "12"},
        {"summaries": {"a": 1}, "activation": 7},
    ],
)  # fmt: skip
def test_facts_that_can_not_be_used_cost_their_layer_alone(damage):
    read = fmt.RunFacts.parse(stored(layers=[layer(**damage), layer(name="sound", path="sound")]))
    assert isinstance(read.layers[0], fmt.Problem) and read.layers[1] == conv(name="sound", path="sound")
    newer = fmt.RunFacts.parse(stored(format=3, layers=[layer(**damage)]))
    assert "a newer format" in newer.layers[0].reason


def test_layers_of_one_name_are_told_apart():
    read = fmt.RunFacts.parse(stored(layers=[layer(), layer(), 5]))
    assert [each.name for each in read.layers] == ["a/b", "a/b~2", "layer 3"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*sorted(layer()), "x"]), inner, max_size=4)
    ),
    max_leaves=12,
)


@hypothesis.settings(suppress_health_check=[hypothesis.HealthCheck.too_slow])
@hypothesis.given(
    st.dictionaries(st.sampled_from(sorted(stored())), JSON), st.dictionaries(st.sampled_from(sorted(layer())), JSON)
)
def test_any_head_is_read_or_refused_in_one_way(changes, of_layer):
    for head in (changes, stored(**changes), stored(layers=[layer(**of_layer)])):
        try:
            for each in fmt.RunFacts.parse(head).layers:
                assert isinstance(each, fmt.Problem) or each.grid[0] * each.grid[1] <= fmt.MOST_PIXELS
        except fmt.DamagedError:
            pass


# Pixels and values --------------------------------------------------------------------------------------------------


@hypothesis.given(npst.arrays(np.uint8, npst.array_shapes(min_dims=3, max_dims=3, max_side=7)), st.data())
def test_a_grid_and_its_tiles_are_inverse(maps, data):
    columns = data.draw(st.integers(1, len(maps)))
    rows = -(-len(maps) // columns)
    grid = fmt.to_grid(maps, rows, columns)
    np.testing.assert_array_equal(fmt.to_tiles(grid, rows, columns, len(maps)), maps)
    where = data.draw(st.integers(0, len(maps) - 1))
    top, left = where // columns * maps.shape[1], where % columns * maps.shape[2]
    np.testing.assert_array_equal(grid[top : top + maps.shape[1], left : left + maps.shape[2]], maps[where])


@hypothesis.given(npst.arrays(np.float32, (4, 5, 3), elements=st.floats(-1e6, 1e6, width=32)))
def test_values_come_back_within_half_a_level(values):
    low, high = values.min((0, 1)), values.max((0, 1))
    back = fmt.to_values(fmt.to_pixels(values, low, high), low, high)
    assert (np.abs(back - values) <= (high - low) * (0.5 / 255 + 1e-5) + 1e-30).all()
    pixels = np.arange(256, dtype=np.uint8)[:, None].repeat(3, 1)
    spread = low + np.maximum(high - low, 1 + np.abs(low))  # wide enough for 256 values in float32
    np.testing.assert_array_equal(fmt.to_pixels(fmt.to_values(pixels, low, spread), low, spread)[::51], pixels[::51])


def test_the_largest_values_have_pixels():
    values = np.array([[-3.4e38], [0], [1.7e38], [3.4e38]], np.float32)
    pixels = fmt.to_pixels(values, values.min(0), values.max(0))
    assert pixels[:, 0].tolist() == [0, 128, 191, 255]
    np.testing.assert_allclose(fmt.to_values(pixels, values.min(0), values.max(0)), values, atol=3e36)


def test_what_is_not_finite_has_pixel_0_and_a_channel_without_a_finite_value_is_nan():
    values = np.array([[np.nan, 1], [np.inf, 3]], np.float32)
    low, high = np.array([np.nan, 1], np.float32), np.array([np.nan, 3], np.float32)
    pixels = fmt.to_pixels(values, low, high)
    assert pixels.tolist() == [[0, 0], [0, 255]]
    np.testing.assert_array_equal(fmt.to_values(pixels, low, high), [[np.nan, 1], [np.nan, 3]])


# Names --------------------------------------------------------------------------------------------------------------


def test_directories_of_runs_are_numbered():
    names = [fmt.run_directory_name(number) for number in (1, 2, 12)]
    assert names == ["feature_maps", "feature_maps_2", "feature_maps_12"] and list(map(fmt.run_number, names)) == [
        1,
        2,
        12,
    ]
    assert not any(map(fmt.run_number, ["feature_maps_0", "feature_maps_02", "feature_maps_old", "maps", ""]))


def test_tags_avoid_what_the_fast_path_cannot_read_and_stay_apart():
    assert tags(['a"b', "a\\b", "a\tb", "a/b#2", "a_b"]) == ["a_b", "a_b~2", "a_b~3", "a/b#2", "a_b~4"]
    assert tags(f"a{chr(code)}b" for code in range(32)) == fmt.unique(["a_b"] * 32)


def test_tags_of_layers_are_in_the_order_of_the_log_when_sorted():
    layers = [(number, f"{'zyx'[number % 3]}{number}") for number in range(1, 121, 7)]
    layers += [(None, f"block_{at}") for at in (9, 10, 1)] + [(None, 'a"b')] * 9
    found = layer_tags(layers, 120)
    assert found == sorted(found)
    assert (found[0], found[-1], found[-12]) == ("#001 y1", "12 a_b", "01 block_9")
    assert layer_tags([(7, "a"), (7, "a#2"), (9, "b")], 9) == ["#7 a", "#7 a#2", "#9 b"], "called again"
    assert layer_tags([(None, "b"), (None, "a")], 0) == ["1 b", "2 a"]


@hypothesis.given(st.lists(st.sampled_from(["a", "b", "a~2", "a~3"])))
def test_unique_names_are_unique_and_keep_their_order(names):
    made = fmt.unique(names)
    assert len(set(made)) == len(made) == len(names)
    assert all(new == old or new.startswith(f"{old}~") for new, old in zip(made, names, strict=True))
