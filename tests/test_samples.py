"""Samples as the model takes them: what is one sample, what a batch, and what is refused unread."""

import keras
import numpy as np
import pytest
from support.decoding import stored

from fm_callback import FeatureMapCallback
from fm_callback.capture.samples import as_batch, as_fit_has_them


def model(*shapes, names=None):
    inputs = [keras.Input(shape, name=None if names is None else names[at]) for at, shape in enumerate(shapes)]
    flat = [keras.layers.Flatten()(each) for each in inputs]
    joined = flat[0] if len(flat) == 1 else keras.layers.Concatenate()(flat)
    given = inputs[0] if len(inputs) == 1 else inputs if names is None else dict(zip(names, inputs, strict=True))
    return keras.Model(given, joined)


class Reads(keras.Model):
    """Does not know the shapes of its inputs, a dict."""

    def __init__(self):
        super().__init__()
        self.conv = keras.layers.Conv2D(1, 3)

    def call(self, inputs):
        few, many = inputs["facts"]
        return (
            keras.ops.sum(self.conv(inputs["image"]), (1, 2, 3)) + keras.ops.sum(few, 1) + keras.ops.sum(many, (1, 2))
        )


@pytest.mark.parametrize(
    ("input_shape", "shape", "expected"),
    [
        ((8, 9, 3), (8, 9, 3), (1, 8, 9, 3)),
        ((8, 9, 3), (2, 8, 9, 3), (2, 8, 9, 3)),
        ((None, None, 3), (8, 9, 3), (1, 8, 9, 3)),
        ((8, 9, 3, 1), (8, 9, 3, 1), (1, 8, 9, 3, 1)),
        ((20, 4), (20, 4), (1, 20, 4)),
    ],
)
def test_the_models_input_decides_what_is_one_sample(input_shape, shape, expected):
    inputs = keras.Input(input_shape)
    assert as_batch(np.zeros(shape, "uint8"), keras.Model(inputs, inputs + 1)).shape == expected


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "samples", [np.zeros((4, 4, 3), "float32"), [np.zeros((4, 4, 3), "float32")]], ids=["array", "list"]
)
@pytest.mark.parametrize("listed", [False, True], ids=["tensor", "list of one"])
def test_one_input_is_given_as_the_model_names_it(samples, listed):
    inputs = keras.Input((4, 4, 3))
    single = keras.Model([inputs] if listed else inputs, keras.layers.Conv2D(1, 1)(inputs))
    single(as_batch(samples, single))


def test_without_an_input_shape_the_rank_decides():
    unbuilt = keras.Sequential([keras.layers.Conv2D(1, 3)])
    assert as_batch(np.zeros((8, 8, 3)), unbuilt).shape == (1, 8, 8, 3)
    assert as_batch(np.zeros((2, 8, 8, 3)), unbuilt).shape == (2, 8, 8, 3)


def test_without_input_shapes_one_batch_makes_all_of_them_batches():
    samples = {"image": np.zeros((2, 8, 8, 3)), "facts": (np.zeros((2, 3)), np.zeros((2, 5, 1)))}
    shapes = [array.shape for array in keras.tree.flatten(as_batch(samples, Reads()))]
    assert shapes == [(2, 3), (2, 5, 1), (2, 8, 8, 3)]
    one = {"image": np.zeros((8, 8, 3)), "facts": (np.zeros(3), np.zeros((5, 1)))}
    assert [len(array) for array in keras.tree.flatten(as_batch(one, Reads()))] == [1, 1, 1]


def test_several_inputs_keep_their_structure():
    two = model((4, 4, 3), (4, 4, 1), names=["image", "depth"])
    batch = as_batch({"image": np.zeros((4, 4, 3)), "depth": np.zeros((4, 4, 1))}, two)
    assert {name: array.shape for name, array in batch.items()} == {"image": (1, 4, 4, 3), "depth": (1, 4, 4, 1)}
    listed = as_batch([np.zeros((2, 4, 4, 3)), np.zeros((2, 4, 4, 1))], model((4, 4, 3), (4, 4, 1)))
    assert [array.shape for array in listed] == [(2, 4, 4, 3), (2, 4, 4, 1)]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("structure", [list, tuple, dict])
def test_a_dict_names_the_inputs_whatever_their_structure(structure):
    """As for `fit`; in another order than that of the names, too."""
    wide, deep = keras.Input((8, 8, 3), name="wide"), keras.Input((4, 4, 2), name="deep")
    inputs = {"wide": wide, "deep": deep} if structure is dict else structure([wide, deep])
    both = keras.Model(inputs, [wide + 1, deep + 1])
    batch = as_batch({"wide": np.zeros((8, 8, 3)), "deep": np.zeros((4, 4, 2))}, both)
    assert type(batch) is structure
    assert [output.shape for output in both(batch)] == [(1, 8, 8, 3), (1, 4, 4, 2)]


@pytest.mark.filterwarnings("error")
def test_a_dict_may_name_the_only_input():
    image = keras.Input((8, 8, 3), name="image")
    single = keras.Model(image, image + 1)
    assert single(as_batch({"image": np.zeros((8, 8, 3))}, single)).shape == (1, 8, 8, 3)


def test_bytes_in_the_other_order_are_turned():
    values = np.arange(192).reshape(8, 8, 3)
    for dtype, expected in ((">f4", "float32"), (">f8", "float32"), (">u2", "uint16")):
        batch = as_batch(values.astype(dtype), model((8, 8, 3)))
        assert batch.dtype == expected and batch.dtype.isnative and (batch[0] == values).all()


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (np.zeros((9, 8, 3)), r"shape \(9, 8, 3\) do not fit the model's input shape \(None, 8, 8, 3\)"),
        (np.zeros((8, 8)), r"shape \(8, 8\)"),
        (np.zeros((0, 8, 8, 3)), "`samples` is empty"),
        (np.array([["cat.png"]]), "arrays of numbers; received ndarray of dtype <U7"),
        (
            [np.zeros((8, 8, 3)), np.zeros((8, 8, 3))],
            r"holds 2 arrays, but model 'functional.*' has 1 inputs.* one batch, give `np\.stack\(samples\)`",
        ),
        (np.zeros((8, 8, 3)).tolist(), r"holds the number 0\.0 where an array belongs; give `np\.asarray\(samples\)`"),
        ([], "holds no array"),
        ([np.zeros((8, 8, 3)), None], "holds None: an optional input can't be left out"),
        ({"photo": np.zeros((8, 8, 3))}, r"has the keys \['photo'\], but the inputs of model .* are \['keras_tensor"),
    ],
)
def test_samples_that_do_not_fit_are_named(samples, message):
    with pytest.raises(ValueError, match=message):
        as_batch(samples, model((8, 8, 3)))


def test_inputs_of_different_lengths_are_named():
    with pytest.raises(ValueError, match=r"different numbers of samples: \[2, 3\]"):
        as_batch([np.zeros((2, 4, 4, 3)), np.zeros((3, 4, 4, 1))], model((4, 4, 3), (4, 4, 1)))


@pytest.mark.parametrize(
    ("input_shape", "shape", "expected"),
    [
        ((28, 28, 1), (4, 28, 28), (4, 28, 28, 1)),
        ((28, 28, 1), (28, 28), (1, 28, 28, 1)),
        ((28, 28, 1), (28, 28, 28), (28, 28, 28, 1)),
        ((28, 28, 1), (28, 28, 1), (1, 28, 28, 1)),
        ((28, 28), (4, 28, 28, 1), (4, 28, 28)),
        ((28, 28), (28, 28, 1), (1, 28, 28)),
        ((None, None, 1), (4, 20, 30), (4, 20, 30, 1)),
        ((64, 1), (4, 64), (4, 64, 1)),
        ((), (4, 1), (4,)),
    ],
)
def test_a_last_axis_of_one_may_be_missing_or_too_many(input_shape, shape, expected):
    """Keras's own data set of digits has no axis of channels."""
    inputs = keras.Input(input_shape)
    single = keras.Model(inputs, inputs * 2)
    batch = as_batch(np.zeros(shape, "float32"), single)
    assert batch.shape == expected and single(batch).shape == expected


class Signals(keras.Model):
    """A model that does not know the shape of its input."""

    def __init__(self, convolution=None, normalised=False):
        super().__init__()
        self.norm = keras.layers.BatchNormalization() if normalised else keras.layers.Identity()
        self.conv = convolution or keras.layers.Conv1D(2, 3)

    def call(self, inputs):
        return keras.ops.mean(self.conv(self.norm(inputs)), axis=-1)


class Digits(Signals):
    """Adds the axis of channels itself."""

    def __init__(self):
        super().__init__(keras.layers.Conv2D(2, 3))

    def call(self, inputs):
        return super().call(inputs[..., None])


def two_dimensional(normalised=False):
    return Signals(keras.layers.Conv2D(2, 3), normalised)


def unbuilt_sequence():
    return keras.Sequential([keras.layers.BatchNormalization(), keras.layers.Conv1D(2, 3)])


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("built", [False, True], ids=["unbuilt", "built"])
@pytest.mark.parametrize(
    ("make", "batch", "sample"),
    [
        (Signals, (4, 64, 2), (64, 2)),
        (Digits, (4, 28, 28), (28, 28)),
        (two_dimensional, (4, 8, 8, 3), (8, 8, 3)),
        (lambda: two_dimensional(normalised=True), (4, 8, 8, 3), (8, 8, 3)),
        (lambda: Signals(keras.layers.Conv3D(2, 3)), (2, 8, 8, 8, 1), (8, 8, 8, 1)),
        (unbuilt_sequence, (4, 64, 2), (64, 2)),
    ],
    ids=["signals", "digits", "images", "normalised", "volumes", "sequential"],
)
def test_a_model_that_does_not_know_its_input_is_tried(make, batch, sample, built):
    for shape, expected in ((batch, batch), (sample, (1, *sample))):
        model = make()
        if built:
            model(np.zeros(batch, "float32"))
        found = as_batch(np.zeros(shape, "float32"), model)
        assert found.shape == expected and len(model(found)) == len(found)
        assert as_batch(np.ones(shape, "float32"), model).shape == expected, "again, as it was found"


@pytest.mark.filterwarnings("error")
def test_what_a_model_takes_in_no_way_is_said_and_leaves_it_as_it_was():
    model = two_dimensional()
    with pytest.raises(Exception, match="conv2d") as caught:
        as_batch(np.zeros(5, "float32"), model)
    assert (
        caught.value.__notes__[-1]
        == f"model '{model.name}' takes `samples` of shape (5,) neither as a batch nor as one sample"
    )
    assert not model.built and model(np.zeros((2, 8, 8, 3), "float32")).shape == (2, 6, 6)


X, Y = np.random.default_rng(0).random((4, 8, 8, 3), dtype="float32"), np.zeros((4, 8, 8, 1), int)


@pytest.mark.parametrize(
    "make", [lambda: model((8, 8, 3)), two_dimensional, lambda: keras.Sequential([keras.layers.Conv2D(1, 1)])]
)
@pytest.mark.parametrize("batch", [(X, Y), [X, Y[:, 0, 0, 0]], (X, Y, np.ones(4)), (X, X)])
def test_a_batch_of_a_data_set_may_keep_its_labels(make, batch):
    np.testing.assert_array_equal(as_batch(batch, make()), X)


def test_labels_beside_inputs_by_name_are_left_out():
    two = model((8, 8, 3), (2,), names=["image", "facts"])
    batch = as_batch(({"image": X, "facts": np.zeros((4, 2))}, Y), two)
    assert {name: array.shape for name, array in batch.items()} == {"image": (4, 8, 8, 3), "facts": (4, 2)}
    pair = as_batch((X, np.zeros((4, 2))), model((8, 8, 3), (2,)))
    assert [array.shape for array in pair] == [(4, 8, 8, 3), (4, 2)], "two inputs are no labels"


class Endless(keras.utils.PyDataset):
    def __len__(self):
        return 1000

    def __getitem__(self, at):
        raise AssertionError("read")


class Stream:
    def __iter__(self):
        raise AssertionError("read")


def one_by_one():
    raise AssertionError("read")
    yield


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (Endless(), r"a Endless, which is not read.* a batch such as `data\[0\]`"),
        (Stream(), r"a Stream, .* `next\(iter\(data\)\)`"),
        (one_by_one(), r"a generator, .* `next\(data\)`"),
    ],
)
def test_a_data_set_is_refused_unread(data, message):
    with pytest.raises(ValueError, match=message):
        as_batch(data, model((8, 8, 3)))


TEXT = np.array([["ap"], ["pá"], [""], ["lateral"]])


def reader():
    tf = pytest.importorskip("tensorflow")
    image, view = keras.Input((8, 8, 3), name="image"), keras.Input((1,), dtype="string", name="view")
    pooled = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(4, 3, name="c")(image))
    words = keras.layers.StringLookup(vocabulary=["ap", "pá", "lateral"])(view)
    words = keras.layers.Flatten()(keras.layers.Embedding(5, 4)(words))
    both = keras.Model(
        {"image": image, "view": view}, keras.layers.Dense(1)(keras.layers.Concatenate()([pooled, words]))
    )
    both.compile("sgd", "mse", jit_compile=False)
    return tf, both


@pytest.mark.parametrize("kind", ["numpy", "object", "tensor"])
def test_text_beside_pictures_passes_through(kind, tmp_path):
    tf, both = reader()
    text = {"numpy": TEXT, "object": TEXT.astype(object), "tensor": tf.constant(TEXT)}[kind]
    batch = as_batch({"image": X, "view": text}, both)
    truth, found = (both(keras.tree.map_structure(tf.constant, each)) for each in ({"image": X, "view": TEXT}, batch))
    np.testing.assert_array_equal(found, truth)
    data = tf.data.Dataset.from_tensor_slices(({"image": X, "view": TEXT}, np.zeros((4, 1)))).batch(2)
    both.fit(data, verbose=0, callbacks=[FeatureMapCallback({"image": X[:2], "view": text[:2]}, tmp_path)])
    assert list(stored(tmp_path / "feature_maps")) == [0, 1]


@pytest.mark.skipif(keras.backend.backend() == "tensorflow", reason="takes text")
def test_text_is_refused_where_no_model_takes_it():
    with pytest.raises(
        ValueError, match="dtype <U7: text among the inputs of a model needs TensorFlow, and Keras runs on"
    ):
        as_batch({"image": X, "view": TEXT}, Reads())


def test_text_alone_is_no_probe():
    with pytest.raises(ValueError, match="arrays of numbers; received ndarray of dtype <U7"):
        as_batch({"view": TEXT}, reader()[1])


class Task(keras.Sequential):
    """Puts what `fit` is given through a preprocessor, as KerasHub's tasks do."""

    def __init__(self):
        super().__init__(
            [keras.Input((4, 4, 3)), keras.layers.Conv2D(2, 1, name="c"), keras.layers.GlobalMaxPooling2D()]
        )

    def preprocess_samples(self, x, y=None, sample_weight=None):
        smaller = np.asarray(x, "float32")[..., ::2, ::2, :] / 255
        return keras.utils.pack_x_y_sample_weight(smaller, y, sample_weight)

    def fit(self, x, y, **options):
        return super().fit(*self.preprocess_samples(x, y), **options)


@pytest.mark.parametrize("labelled", [False, True])
def test_samples_go_through_a_tasks_own_preprocessing(labelled, tmp_path):
    task, raw, labels = Task(), (X * 255).astype("uint8"), np.zeros((4, 2))
    task.compile("sgd", "mse")
    probe = (raw, labels) if labelled else raw
    np.testing.assert_array_equal(as_fit_has_them(probe, task), raw[:, ::2, ::2] / np.float32(255))
    assert as_fit_has_them(raw[0], task).shape == (1, 4, 4, 3)
    task.fit(raw, labels, verbose=0, callbacks=[FeatureMapCallback(probe, tmp_path, channels="all")])
    high = stored(tmp_path / "feature_maps")[1]["c"].table[:, 1]
    truth = keras.ops.max(task(as_batch(raw[:, ::2, ::2] / 255, task)), axis=0)
    np.testing.assert_allclose(high, keras.ops.convert_to_numpy(truth), rtol=1e-5)
