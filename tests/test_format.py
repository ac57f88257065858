"""Records, tags and static facts."""

import io
import subprocess
import sys

import hypothesis
import hypothesis.strategies as st
import pytest
from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import PyRecordReader_New

from fm_callback.format import LayerFacts, layer_tags, pack_record, read_records, unique


def facts(**changes):
    values = dict(
        number=12, kind="Conv2D", path="a/b", kernel=(3, 3), activation=None, shape=(40, 40, 128), slice=None,
        channels=(0, 1), rows=1, columns=2, fields=("low",), cells={"edges": 4}, step_unit="epoch", probe_images=2, stored_images=2,
    )  # fmt: skip
    return LayerFacts(**values | changes)


@hypothesis.given(st.lists(st.binary(max_size=300), max_size=5))
def test_records_survive_the_way_through_a_file(payloads):
    file = io.BytesIO(b"".join(map(pack_record, payloads)))
    assert list(read_records(file)) == payloads


def test_tensorboards_own_reader_reads_our_records(tmp_path):
    payloads = [b"", b"one", bytes(range(256)) * 50]
    path = tmp_path / "records"
    path.write_bytes(b"".join(map(pack_record, payloads)))
    reader, read = PyRecordReader_New(str(path)), []
    for _ in payloads:
        reader.GetNext()
        read.append(reader.record())
    assert read == payloads


@hypothesis.given(st.lists(st.binary(min_size=1, max_size=50), min_size=1, max_size=4), st.data())
def test_a_cut_anywhere_leaves_the_whole_records_before_it(payloads, data):
    whole = b"".join(map(pack_record, payloads))
    at = data.draw(st.integers(0, len(whole)))
    ends = [sum(len(pack_record(each)) for each in payloads[: count + 1]) for count in range(len(payloads))]
    assert list(read_records(io.BytesIO(whole[:at]))) == payloads[: sum(end <= at for end in ends)]


@hypothesis.given(st.binary(min_size=1, max_size=60), st.data())
def test_a_damaged_byte_is_never_read_as_good(payload, data):
    whole = bytearray(pack_record(payload))
    whole[data.draw(st.integers(0, len(whole) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    assert list(read_records(io.BytesIO(bytes(whole)))) == []


@hypothesis.given(st.binary(max_size=200))
def test_any_bytes_are_read_without_an_error(data):
    list(read_records(io.BytesIO(data)))


def test_facts_survive_json_and_equal_facts_are_equal_bytes():
    assert LayerFacts.from_json(facts().to_json()) == facts()
    assert facts().to_json() == facts().to_json() != facts(rows=2).to_json()


def test_facts_of_a_newer_version_are_read_as_far_as_known():
    newer = facts(version=2).to_json()[:-1] + b',"novelty":1}'
    assert LayerFacts.from_json(newer) == facts(version=2)


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"nonsense", b'{"version":1}'])
def test_no_facts_at_all_is_a_value_error(content):
    with pytest.raises(ValueError):
        LayerFacts.from_json(content)


def test_tags_avoid_what_the_fast_path_cannot_read_and_stay_apart():
    assert layer_tags(['a"b', "a\\b", "a\tb", "a/b#2", "a_b"]) == ["a_b", "a_b~2", "a_b~3", "a/b#2", "a_b~4"]
    assert layer_tags(f"a{chr(code)}b" for code in range(32)) == unique(["a_b"] * 32)


@hypothesis.given(st.lists(st.sampled_from(["a", "b", "a~2", "a~3"])))
def test_unique_names_are_unique_and_keep_their_order(names):
    made = unique(names)
    assert len(set(made)) == len(made) == len(names)
    assert all(new == old or new.startswith(f"{old}~") for new, old in zip(made, names, strict=True))


@pytest.mark.parametrize(
    "module", ["fm_callback", "fm_callback.format", "fm_callback.write.events", "fm_callback.write.grid"]
)
def test_the_reading_sides_imports_load_neither_keras_nor_a_backend(module):
    code = f"import sys, {module}; print([name for name in ('keras', 'tensorflow', 'jax', 'torch') if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
