"""What the model predicts, through a whole `fit` on the backend of the day: labels and IoU equal to what `predict` gives."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers, ops
from reading import numbers, values_at
from support.decoding import predicted, run_facts
from zoo import BACKEND, CANNOT, data

from fm_callback import FeatureMapCallback, open_log
from fm_callback.capture.capture import Capture
from fm_callback.format import NO_LABEL, Label

SIZE = 16
IGNORED = 9


def pictures(count: int) -> np.ndarray:
    return data(count, SIZE, SIZE, 3)


def masks(count: int) -> np.ndarray:
    """Labels 0, 1 and 2, some of which an image lacks, and a frame that is to be ignored."""
    labels = np.random.default_rng(count).integers(0, 3, (count, SIZE, SIZE))
    labels[0][labels[0] == 2] = 0
    labels[:, 0] = IGNORED
    return labels


def body(inputs: Any) -> Any:
    value = layers.Conv2D(6, 3, padding="same", name="body")(inputs)
    return layers.BatchNormalization()(value)


def head(channels: int, activation: str | None = None, name: str = "head", strides: int = 1) -> keras.Layer:
    return layers.Conv2D(channels, 3, strides, padding="same", activation=activation, name=name)


def of(*heads: keras.Layer, names: tuple[str, ...] = ()) -> keras.Model:
    inputs = keras.Input((SIZE, SIZE, 3))
    value = body(inputs)
    outputs = [each(value) for each in heads]
    return keras.Model(
        inputs, dict(zip(names, outputs, strict=True)) if names else outputs if len(outputs) > 1 else outputs[0]
    )


def highest(values: np.ndarray) -> np.ndarray:
    return values.argmax(-1)


def over(threshold: float) -> Callable[[np.ndarray], np.ndarray]:
    return lambda values: (values[..., 0] > threshold).astype(int)


@dataclass
class Kind:
    """A model's kind of output, and how one reads it of what `predict` gives.

    Attributes:
        model: Makes the model.
        truth: From what `predict` gives to labels (N, height, width).
        labels: How many labels there are.
        output: What the log calls the output.
        options: Further arguments of the callback.
    """

    model: Callable[[], keras.Model]
    truth: Callable[[Any], np.ndarray]
    labels: int = 3
    output: str | None = None
    options: dict[str, Any] = field(default_factory=dict)


def with_a_layer(activation: str, dtype: str | None = None) -> keras.Model:
    inputs = keras.Input((SIZE, SIZE, 3))
    return keras.Model(inputs, layers.Activation(activation, dtype=dtype)(head(1)(body(inputs))))


def upsampled() -> keras.Model:
    inputs = keras.Input((SIZE, SIZE, 3))
    small = head(1, "sigmoid", strides=2)(body(inputs))
    return keras.Model(inputs, layers.Reshape((SIZE, SIZE, 1))(layers.UpSampling2D(2)(small)))


class Subclass(keras.Model):
    """Applies its sigmoid itself."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.head = layers.Conv2D(6, 3, padding="same", name="body"), head(1)

    def call(self, inputs: Any) -> Any:
        return ops.sigmoid(self.head(self.body(inputs)))


class Decides(keras.Model):
    """Can't be traced: its Python asks a tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.head = head(3)

    def call(self, inputs: Any) -> Any:
        return self.head(inputs) if ops.mean(inputs) < 1e9 else inputs


def nested() -> keras.Model:
    inputs = keras.Input((SIZE, SIZE, 6))
    decoder = keras.Model(inputs, head(1, "sigmoid")(inputs), name="decoder")
    outer = keras.Input((SIZE, SIZE, 3))
    return keras.Model(outer, decoder(body(outer)))


def half() -> keras.Model:
    inputs = keras.Input((SIZE, SIZE, 3))
    value = layers.Conv2D(4, 3, padding="same", dtype="mixed_bfloat16")(inputs)
    value = layers.Conv2D(1, 3, padding="same", activation="sigmoid", dtype="mixed_bfloat16")(value)
    return keras.Model(inputs, layers.Activation("linear", dtype="float32")(value))


def mean_of_two(outputs: Any) -> Any:
    return (outputs[0] + outputs[1]) / 2


def squashed(outputs: Any) -> Any:
    return ops.sigmoid(outputs["mask"])


FOREGROUND = {"foreground": [1, 2]}
DEEP = [partial(head, 3, "softmax", name, strides) for name, strides in (("deep", 4), ("middle", 2), ("top", 1))]
TWO = {"depth": 1, "labels": 3}

KINDS = {
    "softmax": Kind(lambda: of(head(3, "softmax")), highest),
    "logits": Kind(lambda: of(head(3)), highest),
    "more channels than labels": Kind(lambda: of(head(5, "softmax")), highest, labels=5),
    "sigmoid": Kind(lambda: of(head(1, "sigmoid")), over(0.5), 2, options=FOREGROUND),
    "logits of one": Kind(lambda: of(head(1)), over(0), 2, options=FOREGROUND),
    "sigmoid as a layer": Kind(lambda: with_a_layer("sigmoid"), over(0.5), 2, options=FOREGROUND),
    "hard sigmoid": Kind(lambda: with_a_layer("hard_sigmoid"), over(0.5), 2, options=FOREGROUND),
    "sigmoid of bfloat16": Kind(half, over(0.5), 2, options=FOREGROUND),
    "sigmoid, then larger": Kind(upsampled, over(0.5), 2, options=FOREGROUND),
    "sigmoid inside": Kind(nested, over(0.5), 2, options=FOREGROUND),
    "sigmoid of ops": Kind(Subclass, over(0.5), 2, options=FOREGROUND),
    "tanh": Kind(lambda: with_a_layer("tanh"), over(0), 2, options=FOREGROUND),
    "dict": Kind(
        lambda: of(*(head(channels, name=name) for name, channels in TWO.items()), names=(*TWO,)),
        lambda outputs: highest(outputs["labels"]),
        output="labels",
    ),
    "deep supervision": Kind(lambda: of(*(make() for make in DEEP)), lambda outputs: highest(outputs[2]), output="top"),
    "deep supervision, all small": Kind(
        lambda: of(*(make() for make in DEEP[:2])), lambda outputs: highest(outputs[1]), output="middle"
    ),
    "small": Kind(lambda: of(head(3, "softmax", strides=2)), highest),
    "by key": Kind(
        lambda: of(head(1, name="a"), head(3, name="b"), names=("mask", "labels")),
        lambda outputs: over(0)(outputs["mask"]), 2, "mask", {"prediction": "mask", **FOREGROUND},
    ),
    "by layer": Kind(
        lambda: of(*(make() for make in DEEP)), lambda outputs: highest(outputs[0]), output="deep", options={"prediction": "deep"}
    ),
    "function": Kind(
        lambda: of(head(3, name="a"), head(3, name="b")), lambda outputs: highest(outputs[0] + outputs[1]),
        options={"prediction": mean_of_two},
    ),
    "function with a sigmoid": Kind(
        lambda: of(head(1, name="a"), head(3, name="b"), names=("mask", "labels")),
        lambda outputs: over(0)(outputs["mask"]), 2, options={"prediction": squashed, **FOREGROUND},
    ),
    "function that hands on": Kind(
        lambda: of(head(1, "sigmoid", "a"), head(3, name="b"), names=("mask", "labels")),
        lambda outputs: over(0.5)(outputs["mask"]), 2, options={"prediction": lambda outputs: outputs["mask"], **FOREGROUND},
    ),
}  # fmt: skip
if BACKEND != "jax":  # Keras itself traces every model on JAX
    KINDS["not traceable"] = Kind(Decides, highest)


def fitted(model: keras.Model, samples: Any, log: Path, epochs: int = 1, **options: Any) -> list[Any]:
    """Trains with the callback; returns what `predict` gives before and after."""
    model.compile(keras.optimizers.SGD(0.05), "mse", run_eagerly=isinstance(model, Decides))
    before = model.predict(samples, verbose=0)
    targets = keras.tree.map_structure(np.zeros_like, before)
    callback = FeatureMapCallback(samples, log, images=False, **options)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*layer by layer")
        model.fit(samples, targets, batch_size=6, epochs=epochs, verbose=0, callbacks=[callback])
    return [before, model.predict(samples, verbose=0)]


def expected_scores(labels: np.ndarray, truth: np.ndarray, count: int, ignored: np.ndarray) -> np.ndarray:
    """(images, labels, 3) by sets of pixels; a smaller prediction is repeated."""
    times = truth.shape[1] // labels.shape[1]
    labels = labels.repeat(times, 1).repeat(times, 2)
    scores = np.full((len(labels), count, 3), np.nan)
    for image, label in np.ndindex(scores.shape[:2]):
        told, true = ((each[image] == label) & ~ignored[image] for each in (labels, truth))
        if (told | true).any():
            scores[image, label, 0] = (told & true).sum() / (told | true).sum()
        scores[image, label, 1:] = [each.sum() / (~ignored[image]).sum() for each in (told, true)]
    return scores


#: As different as they are, chunks do one thing with all of them.
IN_CHUNKS = ("softmax", "sigmoid", "dict", "small", "function", "not traceable")


@pytest.mark.parametrize(
    ("name", "count"), [*((name, 6) for name in KINDS), *((name, 18) for name in IN_CHUNKS if name in KINDS)]
)
def test_labels_and_iou_are_those_of_predict(name: str, count: int, tmp_path: Path) -> None:
    keras.utils.set_random_seed(3)
    kind, samples, labels = KINDS[name], pictures(count), masks(count)
    steps = fitted(
        kind.model(),
        samples,
        tmp_path,
        masks=labels,
        ignore=IGNORED,
        layers=["head"] if False else "all",
        **kind.options,
    )
    found, facts = predicted(tmp_path / "feature_maps"), run_facts(tmp_path / "feature_maps")["prediction"]
    assert (facts["kind"], facts["output"], len(facts["labels"])) == ("labels", kind.output, kind.labels)
    truth = np.isin(labels, [1, 2]).astype(int) if kind.labels == 2 else labels
    assert found.keys() == {0, 1}
    run = open_log(tmp_path)[0]
    for step, outputs in enumerate(steps):
        expected = kind.truth(outputs)
        assert len(np.unique(expected)) > 1, "something to tell apart"
        positions, scores = found[step]
        np.testing.assert_array_equal(positions, expected[:4])
        np.testing.assert_array_equal(run.prediction(step), expected[:4])
        np.testing.assert_allclose(scores, expected_scores(expected, truth, kind.labels, labels == IGNORED), rtol=1e-6)
    table = run.scores
    np.testing.assert_array_equal(table["iou"], np.stack([found[step][1] for step in (0, 1)])[..., 0].ravel())
    assert table["image"].tolist() == np.repeat(range(count), kind.labels).tolist() * 2
    assert run.problems == ()


# Other kinds of outputs, through a pass alone ---------------------------------------------------------------------------


def taken(model: keras.Model, samples: np.ndarray, asked: Any = None, **options: Any) -> np.ndarray:
    """What a pass reads of the model's output."""
    capture = Capture(model, samples, "all", "all")
    capture.predict(asked, **{"axes": samples.shape[1:-1]} | options)
    many = len(samples) > 16
    prediction = capture(samples if many else ops.convert_to_tensor(samples))().prediction
    assert prediction is not None
    return prediction


def classifier(*last: keras.Layer) -> keras.Model:
    steps = [layers.Conv2D(6, 3, name="body"), layers.GlobalAveragePooling2D(keepdims=len(last) > 1)]
    return keras.Sequential([keras.Input((SIZE, SIZE, 3)), *steps, *last])


def softmax(values: np.ndarray) -> np.ndarray:
    powers = np.exp(values - values.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


CLASSIFIERS: dict[str, tuple[Callable[[], keras.Model], Callable[[np.ndarray], np.ndarray]]] = {
    "softmax": (lambda: classifier(layers.Dense(7, "softmax")), lambda values: values),
    "logits": (lambda: classifier(layers.Dense(7)), softmax),
    "several labels at once": (lambda: classifier(layers.Dense(7, "sigmoid")), lambda values: values),
    "one cell": (lambda: classifier(layers.Conv2D(7, 1), layers.Softmax()), lambda values: values[:, 0, 0]),
    "sigmoid": (lambda: classifier(layers.Dense(1, "sigmoid")), lambda values: np.concatenate([1 - values, values], 1)),
    "logits of one": (
        lambda: classifier(layers.Dense(1)),
        lambda values: softmax(np.concatenate([np.zeros_like(values), values], 1)),
    ),
    "no axis": (lambda: classifier(layers.Dense(1), layers.Reshape(())), lambda values: softmax(np.stack([0 * values, values], 1))),
}  # fmt: skip


@pytest.mark.parametrize("count", [6, 18], ids=["at once", "in chunks"])
@pytest.mark.parametrize("name", CLASSIFIERS)
def test_the_class_is_the_highest_and_its_probability(name: str, count: int) -> None:
    keras.utils.set_random_seed(3)
    make, probabilities = CLASSIFIERS[name]
    model, samples = make(), pictures(count)
    samples[1] *= 20  # surer of one
    expected = probabilities(model.predict(samples, verbose=0))
    found = taken(model, samples, **({"labels": LABELS} if name == "no axis" else {}))
    np.testing.assert_array_equal(found[:, 0], expected.argmax(-1))
    np.testing.assert_allclose(found[:, 1], expected.max(-1), rtol=1e-5)


def test_a_class_where_no_input_is_a_picture() -> None:
    inputs = keras.Input((12,))
    value = layers.Conv1D(4, 3, name="body")(layers.Reshape((12, 1))(inputs))
    model = keras.Model(inputs, layers.Dense(3, "softmax")(layers.Flatten()(value)))
    outputs = model.predict(samples := data(5, 12), verbose=0)
    np.testing.assert_array_equal(taken(model, samples, axes=())[:, 0], outputs.argmax(-1))


LABELS = (Label("a", 0), Label("b", 1, foreground=True))


def test_a_class_in_the_log(tmp_path: Path) -> None:
    model, samples = classifier(layers.Dense(4, "softmax")), pictures(6)
    before, after = fitted(model, samples, tmp_path, stored=2)
    run = open_log(tmp_path)[0]
    assert [each.name for each in run.facts.prediction.labels] == ["label 0", "label 1", "label 2", "label 3"]
    table = run.scores
    for step, outputs in enumerate((before, after)):
        np.testing.assert_array_equal(run.prediction(step), outputs.argmax(-1)[:2])
        rows = table["step"] == step
        assert table["label"][rows].tolist() == [f"label {each}" for each in outputs.argmax(-1)]
        np.testing.assert_allclose(table["probability"][rows], outputs.max(-1), rtol=1e-5)


@pytest.mark.skipif(("channels_first", BACKEND) in CANNOT, reason="no channels_first convolution here")
@pytest.mark.parametrize("last", ["as it is", "an activation", "moved"])
def test_channels_first(last: str) -> None:
    conv = partial(layers.Conv2D, padding="same", data_format="channels_first")
    inputs = keras.Input((3, SIZE, SIZE))
    value = conv(3, 3, name="head")(conv(6, 3)(inputs))
    if last == "an activation":
        value = layers.Softmax(axis=1)(value)
    if last == "moved":
        value = layers.Permute((2, 3, 1))(value)
    model, samples = keras.Model(inputs, value), np.moveaxis(pictures(4), -1, 1)
    outputs = model.predict(samples, verbose=0)
    found = taken(model, samples, axes=(SIZE, SIZE), labels=LABELS)
    np.testing.assert_array_equal(found, outputs.argmax(-1 if last == "moved" else 1))


def test_volumes_signals_and_outputs_without_a_channel_axis() -> None:
    for shape, make in {
        (6, 8, 10, 1): lambda: [layers.Conv3D(4, 3, padding="same")],
        (30, 3): lambda: [layers.Conv1D(4, 3, padding="same")],
        (20, 2): lambda: [layers.Conv1D(1, 3, padding="same"), layers.Reshape((20,))],
        (SIZE, SIZE, 3): lambda: [layers.Conv2D(1, 3, padding="same"), layers.Reshape((SIZE, SIZE))],
    }.items():
        model, samples = keras.Sequential([keras.Input(shape), *make()]), data(2, *shape)
        outputs = model.predict(samples, verbose=0)
        expected = outputs.argmax(-1) if outputs.ndim == samples.ndim else outputs > 0
        np.testing.assert_array_equal(taken(model, samples, labels=LABELS), expected)


def test_the_stored_slice_of_a_volume(tmp_path: Path) -> None:
    keras.utils.set_random_seed(3)
    values, labels = data(2, 6, 8, 4, 1), np.zeros((2, 6, 8, 4), int)
    labels[0, 2:5, 3:7, 0] = labels[1, 1:4, 2:5, 2] = 1
    model = keras.Sequential([keras.Input((6, 8, 4, 1)), layers.Conv3D(2, 3, strides=2, padding="same")])
    _, after = fitted(model, values, tmp_path, masks=labels)
    expected = after.argmax(-1)
    found, scores = predicted(tmp_path / "feature_maps")[1]
    np.testing.assert_array_equal(found, np.stack([expected[0][..., 0], expected[1][..., 1]]))
    whole = expected.repeat(2, 1).repeat(2, 2).repeat(2, 3)
    for image, label in np.ndindex(2, 2):
        told, true = whole[image] == label, labels[image] == label
        assert scores[image, label, 0] == pytest.approx((told & true).sum() / (told | true).sum())


def test_where_the_output_is_not_a_number_nothing_is_predicted(tmp_path: Path) -> None:
    for make, channels in ((lambda: head(3, "softmax"), 3), (lambda: head(1, "sigmoid"), 1)):
        model, samples = of(make()), pictures(2)
        samples[1, 4, 4] = np.nan
        outputs = model.predict(samples, verbose=0)
        missing = np.isnan(outputs).any(-1)
        found = taken(model, samples, labels=LABELS)
        assert 0 < missing.sum() < missing.size / 4 and (found[missing] == NO_LABEL).all()
        np.testing.assert_array_equal(
            found[~missing], (outputs.argmax(-1) if channels == 3 else outputs[..., 0] > 0.5)[~missing]
        )
    model, samples = classifier(layers.Dense(3, "softmax")), pictures(2)
    samples[1, 4, 4] = np.nan
    assert taken(model, samples)[:, 0].tolist() == [model.predict(samples, verbose=0)[0].argmax(), -1]
    fitted(of(head(3)), np.where(np.isnan(samples), np.nan, samples), tmp_path, masks=masks(2), ignore=IGNORED)
    run = open_log(tmp_path)[0]
    assert (run.prediction(0)[1, 4, 4], run.prediction(0)[0, 4, 4] >= 0) == (-1, True)
    assert run.scores["share"][3:6].sum() < 1


# What is read, and what is told ---------------------------------------------------------------------------------------


def said(capsys: pytest.CaptureFixture[str], model: keras.Model, log: Path, **options: Any) -> str:
    """The line that is printed when training begins."""
    samples = options.pop("samples", None)
    samples = pictures(4) if samples is None else samples
    model.compile("sgd", options.pop("loss", "mse"))
    targets = keras.tree.map_structure(np.zeros_like, model.predict(samples, verbose=0))
    capsys.readouterr()
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        model.fit(samples, targets, epochs=2, verbose=2, callbacks=[FeatureMapCallback(samples, log, **options)])
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "feature maps go to" in line]
    return line.partition("feature_maps,")[2].partition("epochs")[2]


ALL = {"masks": masks(4), "ignore": IGNORED}


def test_what_goes_without_saying_is_not_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys, of(head(3)), tmp_path, **ALL) == ""
    assert said(capsys, of(head(1, "sigmoid")), tmp_path, **ALL, **FOREGROUND) == ""
    assert said(capsys, of(head(1)), tmp_path, prediction=False, **ALL, **FOREGROUND) == ""


def test_what_is_taken_for_logits_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = said(capsys, of(head(1)), tmp_path, **ALL, **FOREGROUND)
    assert told == "; no sigmoid was seen, so that the output is taken for logits: the object is where they are over 0"


def test_masks_that_do_not_fit_cost_the_iou_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = said(capsys, of(head(2, "softmax")), tmp_path, **ALL)
    assert told == (
        "; no IoU of the prediction: the masks have the label 2, and the 2 channels of the output stand for the labels "
        "from 0 to 1"
    )
    run, scores = open_log(tmp_path)[0], predicted(tmp_path / "feature_maps")[2][1]
    assert run.facts.prediction.truth == (-1, -1, -1, -1) and np.isnan(scores[..., [0, 2]]).all()
    np.testing.assert_allclose(scores[..., 1].sum(-1), 1)
    assert not [tag for tag in values_at(tmp_path / "feature_maps", 2) if "prediction_iou" in tag]


def test_a_label_that_is_named_and_nowhere_costs_no_iou(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    labels = masks(4)
    told = said(capsys, of(head(3)), tmp_path, masks=labels, ignore=IGNORED, classes={1: "cat", 7: "dog"})
    assert told == ""
    run = open_log(tmp_path)[0]
    assert run.facts.prediction.truth == (0, 1, 2, -1, -1) and [label.name for label in run.labels][1:4:2] == [
        "cat",
        "dog",
    ]
    here = run.scores["true_share"] > 0
    assert not np.isnan(run.scores["iou"][here]).any()


def test_without_masks_there_are_shares(tmp_path: Path) -> None:
    _, after = fitted(of(head(3, "softmax")), pictures(5), tmp_path)
    positions, scores = predicted(tmp_path / "feature_maps")[1]
    labels = after.argmax(-1)
    np.testing.assert_array_equal(positions, labels[:4])
    np.testing.assert_allclose(scores[..., 1], np.stack([(labels == each).mean((1, 2)) for each in range(3)], 1))
    assert np.isnan(scores[..., [0, 2]]).all()


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: of(layers.Flatten()), "the output has 1,536 channels, and a prediction of at most 1,024 is logged"),
        (lambda: of(head(300)), "the output has 300 channels, and a prediction of at most 255 is logged"),
        (lambda: of(layers.Reshape((64, 24))), "the output of shape (None, 64, 24) is no prediction of 16×16 cells"),
        (lambda: of(layers.Lambda(lambda x: ops.argmax(x, -1), (SIZE, SIZE))), "the output is int"),
        (
            lambda: of(head(300, name="a"), layers.Flatten(name="b")),
            "the output 'a' has 300 channels, and a prediction of at most 255 is logged; the output 'b' has 1,536",
        ),
    ],
)
def test_what_can_not_be_read_is_told(make: Callable[[], keras.Model], reason: str) -> None:
    capture = Capture(make(), pictures(4), "all", "all")
    capture.predict(None, (SIZE, SIZE), LABELS)
    assert capture.prediction is None and capture.told.startswith("; no prediction: " + reason)


def test_what_can_not_be_read_is_left_out_and_costs_nothing_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = said(capsys, of(head(300)), tmp_path, **ALL)
    assert told.startswith("; no prediction: the output has 300 channels")
    run = open_log(tmp_path)[0]
    assert run.facts.prediction is None and run.problems == ()
    assert len(run.steps) == 3 and run["body"].maps().shape == (4, SIZE, SIZE, 6)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ("labls", "no output 'labls' for `prediction`; did you mean 'labels'\\? Its outputs are depth, labels"),
        ("nothing like it", "no output 'nothing like it' for `prediction`\\. Its outputs are depth, labels"),
        (7, "`prediction` must be None, the name of an output, a function of what the model returns, or False; received 7"),
        (True, "must be None, the name"),
        (layers.Softmax(name="soft"), "`prediction` is the layer 'soft' itself"),
        (lambda outputs: outputs["x"], "`prediction` fails on what the model returns, of shape .*: KeyError: 'x'"),
        (lambda outputs: (outputs["depth"], 1), "`prediction` must return one tensor; it returned a tuple"),
        (lambda outputs: ops.mean(outputs["labels"], 0), "something of each sample; it returned the shape"),
        (lambda outputs: ops.argmax(outputs["labels"], -1), "what `prediction` returns is int"),
        (lambda outputs: outputs["labels"][:, 0], r"what `prediction` returns of shape \(None, 16, 3\) is no prediction"),
    ],
)  # fmt: skip
def test_what_is_asked_for_and_is_not_there_is_refused_before_training(
    asked: Any, message: str, tmp_path: Path
) -> None:
    model = of(*(head(channels, name=name) for name, channels in TWO.items()), names=(*TWO,))
    with pytest.raises(ValueError, match=message):
        fitted(model, pictures(4), tmp_path, prediction=asked, **ALL)
    assert not list(tmp_path.iterdir())


def test_an_output_that_is_asked_for_and_can_not_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="the output 'many' has 300 channels"):
        fitted(of(head(300, name="many"), head(3)), pictures(4), tmp_path, prediction="many", **ALL)


def test_without_masks_values_are_not_taken_for_labels() -> None:
    picture, samples = of(head(3)), pictures(4)
    capture = Capture(picture, samples, "all", "all")
    for loss, read in (("mse", False), ("categorical_crossentropy", True), (None, True), (["mae", "mse"], False)):
        if loss:
            picture.compile("sgd", loss)
        capture.predict(None, (SIZE, SIZE))
        assert (capture.prediction is not None) == read, loss
        assert ("if they are, give `prediction=`, or `masks`" in capture.told) != read
        capture.predict(None, (SIZE, SIZE), LABELS)
        assert capture.prediction is not None and capture.told == ""
        capture.predict(lambda outputs: outputs, (SIZE, SIZE))
        assert capture.prediction is not None
        picture.loss = None
    part = Capture(picture, samples, "all", "all", None, keras.Sequential([picture]))
    part.predict(None, (SIZE, SIZE))
    assert part.prediction is None and "this part of the model" in part.told
    part = Capture(of(head(3, "softmax")), samples, "all", "all", None, keras.Sequential([picture]))
    part.predict(None, (SIZE, SIZE))
    assert part.prediction is not None


def test_masks_say_nothing_of_a_class() -> None:
    regression, samples = classifier(layers.Dense(1)), pictures(4)
    regression.compile("sgd", "mae")
    capture = Capture(regression, samples, "all", "all")
    capture.predict(None, (SIZE, SIZE), LABELS)
    assert capture.prediction is None and "trained by mean_absolute_error" in capture.told
    capture.predict(lambda outputs: outputs)
    assert capture.prediction is not None and capture.prediction.kind == "class"
    assert capture.told.endswith("the output is taken for logits: class 1 is predicted where they are over 0")


@pytest.mark.parametrize(("masked", "output"), [(True, "coarse"), (False, "classes")])
def test_of_labels_and_a_class_the_masks_decide(masked: bool, output: str) -> None:
    inputs = keras.Input((SIZE, SIZE, 3))
    value = body(inputs)
    classes = layers.Dense(4, name="classes")(layers.GlobalAveragePooling2D()(value))
    model = keras.Model(inputs, [classes, head(3, "softmax", "coarse", 4)(value)])
    capture = Capture(model, pictures(4), "all", "all")
    capture.predict(None, (SIZE, SIZE), LABELS if masked else ())
    assert capture.prediction is not None and capture.prediction.output == output


def test_false_logs_no_prediction(tmp_path: Path) -> None:
    fitted(of(head(3)), pictures(4), tmp_path, prediction=False, **ALL)
    run = open_log(tmp_path)[0]
    assert run.facts.prediction is None and run.problems == () and len(run.scores["step"]) == 0


# The log --------------------------------------------------------------------------------------------------------------


def test_labels_are_those_of_the_masks_and_others_are_numbered(tmp_path: Path) -> None:
    fitted(of(head(5)), pictures(4), tmp_path, **ALL)
    run = open_log(tmp_path)[0]
    labels = run.facts.prediction.labels
    assert labels[:3] == run.labels[:3] and [each.name for each in labels[3:]] == ["label 3", "label 4"]
    assert run.facts.prediction.truth == (0, 1, 2, -1), "what is to be ignored has no place"
    colours = [each.colour for each in labels if each.colour]
    assert len(set(colours)) == len(colours) >= 2


def test_one_channel_says_where_the_object_is(tmp_path: Path) -> None:
    fitted(of(head(1)), pictures(4), tmp_path / "several", **ALL, **FOREGROUND)
    fitted(of(head(1)), pictures(4), tmp_path / "two", masks=(masks(4) == 2) * 7, foreground=7)
    several, two = open_log(tmp_path).values()
    assert several.facts.prediction.labels == (several.labels[0], Label("foreground", 1, foreground=True))
    assert several.facts.prediction.truth == (0, 1, 1, -1)
    assert two.facts.prediction.labels == two.labels and two.facts.prediction.truth == (0, 1)
    assert set(np.unique(two.prediction())) <= {0, 7}


def test_the_mean_iou_of_each_label_is_a_curve(tmp_path: Path) -> None:
    fitted(of(head(3)), pictures(6), tmp_path, epochs=2, masks=masks(6), ignore=IGNORED)
    run = open_log(tmp_path)[0]
    table = run.scores
    for step in run.steps:
        values = values_at(tmp_path / "feature_maps", step)
        curves = {tag: float(numbers(value)) for tag, value in values.items() if "prediction_iou" in tag}
        assert len(curves) == 3
        for label, (tag, value) in zip(run.facts.prediction.labels, curves.items(), strict=True):
            assert tag == f"prediction_iou/{label.name}"
            rows = (table["step"] == step) & (table["label"] == label.name)
            assert value == pytest.approx(np.nanmean(table["iou"][rows]), rel=1e-6)


def test_a_label_that_is_to_be_ignored_has_a_share_and_no_iou(tmp_path: Path) -> None:
    labels = masks(4) % IGNORED
    _, after = fitted(of(head(3)), pictures(4), tmp_path, masks=labels, ignore=2)
    scores = predicted(tmp_path / "feature_maps")[1][1]
    told, counts = after.argmax(-1), labels != 2
    assert np.isnan(scores[:, 2, [0, 2]]).all()
    for image, label in np.ndindex(4, 3):
        assert scores[image, label, 1] == pytest.approx((told[image] == label)[counts[image]].mean())


def test_the_same_callback_goes_on_and_compiles_nothing_anew(tmp_path: Path) -> None:
    model, samples = of(head(3)), pictures(4)
    model.compile("sgd", "mse")
    callback = FeatureMapCallback(samples, tmp_path, images=False, prediction=lambda outputs: outputs, **ALL)
    targets = np.zeros((4, SIZE, SIZE, 3))
    model.fit(samples, targets, epochs=1, verbose=0, callbacks=[callback])
    passes = callback._capture._fast
    model.fit(samples, targets, initial_epoch=1, epochs=3, verbose=0, callbacks=[callback])
    assert callback._capture._fast is passes
    run = open_log(tmp_path)[0]
    assert run.steps == (0, 1, 2, 3) and run.problems == () and set(run.scores["step"].tolist()) == {0, 1, 2, 3}
    np.testing.assert_array_equal(run.prediction(), model.predict(samples, verbose=0).argmax(-1))


def test_maps_and_numbers_are_the_same_with_a_prediction_and_without() -> None:
    model = of(head(3, "softmax"))
    for count in (4, 18):
        samples = pictures(count) if count > 16 else ops.convert_to_tensor(pictures(count))
        capture = Capture(model, pictures(count), "all", "all")
        maps, numbers, _, nothing, _ = capture(samples)()
        assert nothing is None
        capture.predict(None, (SIZE, SIZE), LABELS)
        for one, other in zip(
            [*maps, *numbers], [each for part in capture(samples)()[:2] for each in part], strict=True
        ):
            np.testing.assert_array_equal(one, other)


# No observer effect ---------------------------------------------------------------------------------------------------


def drawing(names: tuple[str, ...]) -> keras.Model:
    """Draws random numbers and keeps statistics in training; and in evaluation, too."""
    inputs = keras.Input((SIZE, SIZE, 3))
    value = layers.GaussianNoise(0.1, seed=3)(inputs)
    value = layers.Dropout(0.5, seed=4)(body(value))
    value = layers.Dropout(0.1, seed=5)(value, training=True)
    heads = [head(3, "softmax", name) for name in names]
    return keras.Model(inputs, {each.name: each(value) for each in heads} if len(heads) > 1 else heads[0](value))


@pytest.mark.parametrize("count", [4, 18], ids=["at once", "in chunks"])
@pytest.mark.parametrize("names", [("head",), ("one", "two")], ids=["one output", "several"])
def test_training_is_bit_identical(names: tuple[str, ...], count: int, tmp_path: Path) -> None:
    states = []
    for watched in (False, True):
        keras.utils.clear_session()
        keras.utils.set_random_seed(11)
        model = drawing(names)
        model.compile(keras.optimizers.Adam(0.01), "mse")
        targets = {name: np.eye(3, dtype="float32")[masks(18) % 3] for name in names}
        callbacks = (
            [FeatureMapCallback(pictures(count), tmp_path, masks=masks(count), ignore=IGNORED)] if watched else []
        )
        history = model.fit(
            pictures(18),
            targets if len(names) > 1 else targets["head"],
            batch_size=6,
            epochs=2,
            verbose=0,
            callbacks=callbacks,
        )
        values = [ops.convert_to_numpy(each.value) for each in (*model.variables, *model.optimizer.variables)]
        states.append((values, history.history))
    (bare, expected), (seen, received) = states
    assert received == expected
    for one, other in zip(bare, seen, strict=True):
        np.testing.assert_array_equal(one, other)
    assert open_log(tmp_path)[0].prediction().shape == (4, SIZE, SIZE)
