"""The hooks as others drive them: loops of their own, optimizers of their own, and what would log nothing without a word."""

import gc
import subprocess
import sys
import warnings

import keras
import numpy as np
import pytest

from fm_callback import FeatureMapCallback, open_log
from fm_callback.capture.backends import backend

X = np.random.default_rng(0).random((8, 12, 12, 3)).astype("float32")
Y = X.mean(-1, keepdims=True)


def made(optimizer="sgd", kind=keras.Sequential):
    keras.utils.set_random_seed(1)
    model = kind([keras.Input((12, 12, 3)), keras.layers.Conv2D(1, 3, padding="same", name="conv")])
    model.compile(optimizer, "mse")
    return model


def steps(log_dir):
    return {name: list(run.steps) for name, run in open_log(log_dir).items()}


def last_map_is_of(model, log_dir):
    """Whether the newest step holds what the model computes now, by its own weights."""
    layer = open_log(log_dir)["feature_maps"]["conv"]
    exact = keras.ops.convert_to_numpy(model.layers[-1](X[:1]))
    return np.abs(layer.maps() - exact).max() <= np.ptp(exact) / 500


# --- Loops of one's own.


@pytest.mark.parametrize("ends", [True, False])
@pytest.mark.parametrize("listed", [True, False])
def test_a_loop_that_calls_one_hook(ends, listed, tmp_path):
    """As a recipe drives Keras's own TensorBoard callback; in a `CallbackList`, too."""
    model, callback = made(), FeatureMapCallback(X[:1], tmp_path)
    hooks = keras.callbacks.CallbackList([callback], model=model) if listed else callback
    callback.set_model(model)
    for epoch in range(5):
        model.train_on_batch(X, Y)
        hooks.on_epoch_end(epoch, {})
    if ends:
        callback.on_train_end()  # a list refuses an end without a beginning
    else:
        del callback, hooks
        gc.collect()  # what nobody ends is over when nobody has it any more
    assert steps(tmp_path) == {"feature_maps": [1, 2, 3, 4, 5]} and last_map_is_of(model, tmp_path)


def test_a_loop_that_begins_epochs_has_the_step_before_training(tmp_path):
    model, callback = made(), FeatureMapCallback(X[:1], tmp_path)
    callback.set_model(model)
    for epoch in range(3):
        callback.on_epoch_begin(epoch)
        model.train_on_batch(X, Y)
        callback.on_epoch_end(epoch)
    callback.on_train_end()
    assert steps(tmp_path) == {"feature_maps": [0, 1, 2, 3]}
    assert "no masks were given" in callback.summary()


@pytest.mark.parametrize("restarts", [True, False])
def test_a_loop_that_calls_the_hook_of_batches(restarts, tmp_path):
    """With the batch's number in its epoch, or in the training."""
    model, callback = made(), FeatureMapCallback(X[:1], tmp_path, update_freq=4)
    callback.set_model(model)
    for batch in range(18):
        model.train_on_batch(X, Y)
        callback.on_train_batch_end(batch % 6 if restarts else batch)
    callback.on_train_end()
    assert steps(tmp_path) == {"feature_maps": [1, 4, 8, 12, 16]}


def test_a_loop_of_epochs_where_steps_are_batches(tmp_path):
    """Nobody tells of batches: the optimizer's count at the ends of epochs says what is due."""
    model, callback = made(), FeatureMapCallback(X[:1], tmp_path, update_freq=4)
    callback.set_model(model)
    for epoch in range(6):
        for _ in range(3):
            model.train_on_batch(X, Y)
        callback.on_epoch_end(epoch)
    callback.on_train_end()
    assert steps(tmp_path) == {"feature_maps": [3, 6, 9, 12, 18]}, "18 is the last"


def test_two_callbacks_in_one_loop_keep_apart(tmp_path):
    model, callbacks = made(), [FeatureMapCallback(X[:1], tmp_path) for _ in range(2)]
    hooks = keras.callbacks.CallbackList(callbacks, model=model)
    for epoch in range(3):
        model.train_on_batch(X, Y)
        hooks.on_epoch_end(epoch)
    for callback in callbacks:
        callback.on_train_end()
    assert steps(tmp_path) == {"feature_maps": [1, 2, 3], "feature_maps_2": [1, 2, 3]}


def test_a_loop_with_another_model_is_another_training(tmp_path):
    callback = FeatureMapCallback(X[:1], tmp_path)
    for _ in range(2):
        model = made()
        callback.set_model(model)
        for epoch in range(2):
            model.train_on_batch(X, Y)
            callback.on_epoch_end(epoch)
    callback.on_train_end()
    assert steps(tmp_path) == {"feature_maps": [1, 2], "feature_maps_2": [1, 2]}


def test_a_loop_after_a_fit_goes_on_in_its_run(tmp_path):
    model, callback = made(), FeatureMapCallback(X[:1], tmp_path)
    model.fit(X, Y, epochs=2, verbose=0, callbacks=[callback])
    for epoch in (2, 3):
        model.train_on_batch(X, Y)
        callback.on_epoch_end(epoch)
    callback.on_train_end()
    assert steps(tmp_path) == {"feature_maps": [0, 1, 2, 3, 4]}


@pytest.mark.parametrize("puts_back", [False, True])
@pytest.mark.skipif(keras.backend.backend() != "jax", reason="JAX alone trains on weights outside the model")
def test_a_loop_that_keeps_the_weights_to_itself_is_told_that_nothing_changes(puts_back, tmp_path, recwarn):
    import jax

    model, callback = made(), FeatureMapCallback(X[:1], tmp_path)
    model.optimizer.build(model.trainable_variables)
    variables, slots = ([each.value for each in of] for of in (model.trainable_variables, model.optimizer.variables))
    gradients = jax.grad(lambda weights: ((model.stateless_call(weights, [], X)[0] - Y) ** 2).mean())
    callback.set_model(model)
    callback.on_epoch_begin(0)
    for epoch in range(3):
        variables, slots = model.optimizer.stateless_apply(slots, gradients(variables), variables)
        if puts_back:
            for variable, value in zip(model.trainable_variables, variables, strict=True):
                variable.assign(value)
        callback.on_epoch_end(epoch)
    callback.on_train_end()
    assert steps(tmp_path) == {"feature_maps": [0, 1, 2, 3]}
    said = [str(each.message) for each in recwarn if "FeatureMapCallback" in str(each.message)]
    assert len(said) == (not puts_back) and all("assign them to the model's variables" in each for each in said)


@pytest.mark.parametrize("frozen", [False, True])
def test_weights_that_stay_are_told_of_unless_they_are_frozen(frozen, tmp_path, recwarn):
    model = made(keras.optimizers.SGD(0.0))
    model.get_layer("conv").trainable = not frozen
    model.compile(keras.optimizers.SGD(0.0), "mse")
    for epochs in (1, 3):  # of one epoch nothing is said: a loop of fits may have more
        model.fit(X, Y, epochs=epochs, verbose=0, callbacks=[FeatureMapCallback(X[:1], tmp_path / str(epochs))])
    said = [str(each.message) for each in recwarn if "FeatureMapCallback" in str(each.message)]
    assert len(said) == (not frozen)
    assert all("the same maps" in each and "did not learn" in each for each in said)


def test_a_callback_of_evaluate_or_predict_says_once_that_it_logs_nothing(tmp_path):
    model, callback = made(), FeatureMapCallback(X[:1], tmp_path)
    with pytest.warns(
        RuntimeWarning, match="logs nothing in `evaluate`, only in training.*FeatureMapExtractor"
    ) as caught:
        model.evaluate(X, Y, verbose=0, callbacks=[callback])
        model.predict(X, verbose=0, callbacks=[callback])
    assert len([each for each in caught if "FeatureMapCallback" in str(each.message)]) == 1
    assert not list(tmp_path.iterdir())


def test_of_a_training_evaluate_and_predict_say_nothing(tmp_path, recwarn):
    model, callback = made(), FeatureMapCallback(X[:1], tmp_path)
    model.fit(X, Y, validation_data=(X, Y), verbose=0, callbacks=[callback])
    model.evaluate(X, Y, verbose=0, callbacks=[callback])
    model.predict(X, verbose=0, callbacks=[callback])
    assert steps(tmp_path) == {"feature_maps": [0, 1]}
    assert not [each for each in recwarn if "FeatureMapCallback" in str(each.message)]


def test_what_is_wrong_raises_at_the_first_hook_of_a_loop(tmp_path):
    callback = FeatureMapCallback(X[:1], tmp_path / "logs", layers=["cnov"])
    with pytest.raises(RuntimeError, match="call `set_model`"):
        callback.on_epoch_end(0)
    callback.set_model(made())
    for _ in range(2):
        with pytest.raises(ValueError, match="did you mean 'conv'"):
            callback.on_epoch_end(0)
    assert not (tmp_path / "logs").exists()


def test_nothing_is_lost_where_nobody_ends_the_loop_before_the_process(tmp_path):
    code = f"""
import sys
sys.path.insert(0, {str(__import__("pathlib").Path(__file__).parent)!r})
from test_hooks import *
model, callback = made(), FeatureMapCallback(X[:1], sys.argv[1], every=3)
callback.set_model(model)
for epoch in range(5):
    model.train_on_batch(X, Y)
    callback.on_epoch_end(epoch)
"""
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)
    assert steps(tmp_path) == {"feature_maps": [1, 3, 5]}


# --- Steps that are batches.


class OwnOptimizers(keras.Model):
    """Steps optimizers of its own, as CycleGAN and pix2pix do; that of `compile` nobody steps."""

    def __init__(self):
        super().__init__()
        self.conv = keras.layers.Conv2D(1, 3, padding="same", name="conv")
        self.own = [keras.optimizers.SGD(0.1), keras.optimizers.Adam()]

    def call(self, images):
        return self.conv(images)

    def build(self, shape):
        self.conv.build(shape)
        for optimizer in self.own:
            optimizer.build(self.trainable_variables)

    def train_step(self, data):
        images, target = data
        if backend.name == "tensorflow":
            import tensorflow as tf

            with tf.GradientTape() as tape:
                loss = tf.reduce_mean((self(images, training=True) - target) ** 2)
            gradients = tape.gradient(loss, [each.value for each in self.trainable_variables])
        else:
            import torch

            self.zero_grad()
            loss = ((self(images, training=True) - target) ** 2).mean()
            loss.backward()
            gradients = [each.value.grad for each in self.trainable_variables]
        apply = lambda: [each.apply(gradients, self.trainable_variables) for each in self.own]  # noqa: E731
        if backend.name == "tensorflow":
            apply()
        else:
            with torch.no_grad():
                apply()
        return {"loss": loss}


def own(compiled):
    keras.utils.set_random_seed(1)
    model = OwnOptimizers()
    model.build((None, 12, 12, 3))
    model.compile() if compiled else model.compile(optimizer=None)
    return model


@pytest.mark.skipif(backend.name == "jax", reason="its own training step is stateless: there is one optimizer")
@pytest.mark.parametrize("compiled", [True, False], ids=["that of compile", "none"])
@pytest.mark.parametrize(
    ("update_freq", "several", "expected"),
    [("batch", 1, list(range(13))), (3, 1, [0, 3, 6, 9, 12]), (5, 1, [0, 5, 10, 12]), (3, 2, [0, 4, 6, 10, 12])],
)
def test_batches_are_counted_where_nobody_steps_the_optimizer(compiled, update_freq, several, expected, tmp_path):
    if several > 1 and backend.name == "torch":
        pytest.skip("takes one batch at a time")
    model = own(compiled)
    model.steps_per_execution = several
    callback = FeatureMapCallback(X[:1], tmp_path, update_freq=update_freq)
    model.fit(X, Y, batch_size=2, epochs=3, verbose=0, callbacks=[callback])
    assert steps(tmp_path) == {"feature_maps": expected} and last_map_is_of(model, tmp_path)


@pytest.mark.skipif(backend.name == "jax", reason="its own training step is stateless: there is one optimizer")
@pytest.mark.parametrize("first", [0, 2])
def test_batches_that_are_counted_go_on_with_the_run(first, tmp_path):
    model = own(compiled=True)
    for epoch in (0, first):
        callback = FeatureMapCallback(X[:1], tmp_path, update_freq=2)
        model.fit(X, Y, batch_size=2, initial_epoch=epoch, epochs=epoch + 2, verbose=0, callbacks=[callback])
    assert steps(tmp_path) == {"feature_maps": list(range(0, 17, 2))} and last_map_is_of(model, tmp_path)


@pytest.mark.parametrize(
    ("update_freq", "gathered", "expected"),
    [("batch", 4, [0, 1, 2, 3]), (2, 4, [0, 1, 2, 3]), (8, 2, [0, 4, 6]), (1, 5, [0, 1, 2])],
)
def test_gathered_gradients_are_steps_of_the_optimizer(update_freq, gathered, expected, tmp_path):
    model = made(keras.optimizers.SGD(0.1, gradient_accumulation_steps=gathered))
    callback = FeatureMapCallback(X[:1], tmp_path, update_freq=update_freq)
    model.fit(X, Y, batch_size=2, epochs=3, verbose=0, callbacks=[callback])
    assert steps(tmp_path) == {"feature_maps": expected}
    assert last_map_is_of(model, tmp_path)


def test_an_optimizer_that_counts_faster_than_batches_come(tmp_path):
    """Stepped twice in a batch, it says what steps are called; batches say when they are due."""
    model, callback = made(), FeatureMapCallback(X[:1], tmp_path, update_freq=3)
    callback.set_model(model)
    for epoch in range(3):
        callback.on_epoch_begin(epoch)
        for batch in range(4):
            model.train_on_batch(X, Y)
            model.train_on_batch(X, Y)
            callback.on_train_batch_end(batch)
        callback.on_epoch_end(epoch)
    callback.on_train_end()
    assert steps(tmp_path) == {"feature_maps": [0, 6, 12, 18, 24]}


def test_a_further_fit_with_another_optimizer_counts_on(tmp_path):
    model, callback = made(), FeatureMapCallback(X[:1], tmp_path, update_freq=2)
    for _ in range(3):
        model.fit(X, Y, batch_size=2, epochs=1, verbose=0, callbacks=[callback])
        model.compile("adam", "mse")
    assert steps(tmp_path) == {"feature_maps": [0, 2, 4, 6, 8, 10, 12]}


# --- What would log nothing without a word.


def our_warnings(caught):
    return [str(each.message) for each in caught if "FeatureMapCallback" in str(each.message)]


def test_a_log_that_stays_at_one_step_is_told_once(tmp_path):
    model, callback = made(), FeatureMapCallback(X[:1], tmp_path)
    callback.set_model(model)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(4):
            model.train_on_batch(X, Y)
            callback.on_epoch_end(0)
        callback.on_train_end()
    assert steps(tmp_path) == {"feature_maps": [1]}
    (told,) = our_warnings(caught)
    assert "step 1 alone" in told and "of the 3 moments that followed" in told


@pytest.mark.skipif(backend.name == "jax", reason="JAX asks no variable")
def test_a_rank_left_over_in_the_environment_is_told(tmp_path, monkeypatch):
    name, value, word = {
        "torch": ("RANK", "1", "RANK=1"),
        "tensorflow": (
            "TF_CONFIG",
            '{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 1}}',
            "worker 1",
        ),
    }[backend.name]
    monkeypatch.setenv(name, value)
    model, callback = made(), FeatureMapCallback(X[:1], tmp_path / "logs")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(2):
            model.fit(X, Y, epochs=2, verbose=0, callbacks=[callback])
    told = our_warnings(caught)
    assert len(told) == 1 and name in told[0] and word in told[0] and not (tmp_path / "logs").exists()
    monkeypatch.delenv(name)
    model.fit(X, Y, epochs=2, verbose=0, callbacks=[callback])
    assert steps(tmp_path / "logs") == {"feature_maps": [0, 1, 2]}
