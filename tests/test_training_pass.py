"""The probe once more in training mode: what is stored of it is what the model gives there."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from fm_callback import FeatureMapCallback, open_log

SIDE, COUNT = 12, 6
RNG = np.random.default_rng(4)
X = RNG.normal(size=(COUNT, SIDE, SIDE, 2)).astype("float32")
MASKS = X[..., 0] > 0.6


def normalised():
    inputs = keras.Input((SIDE, SIDE, 2))
    x = layers.Conv2D(6, 3, padding="same", name="first")(inputs)
    x = layers.ReLU()(layers.BatchNormalization(momentum=0.5)(x))
    x = layers.Conv2D(5, 3, padding="same", name="second")(x)
    return keras.Model(inputs, layers.Conv2D(1, 1, activation="sigmoid", name="head")(layers.Dropout(0.0)(x)))


def cka(one, other):
    one, other = (each.reshape(-1, each.shape[-1]).astype(np.float64) for each in (one, other))
    one, other = one - one.mean(0), other - other.mean(0)
    return ((one.T @ other) ** 2).sum() / np.sqrt(((one.T @ one) ** 2).sum() * ((other.T @ other) ** 2).sum())


def separation(maps):
    inside, outside = maps[MASKS], maps[~MASKS]
    above = (inside[:, None] > outside).mean((0, 1)) + (inside[:, None] == outside).mean((0, 1)) / 2
    return np.maximum(above, 1 - above).max()


def test_both_modes_are_compared(tmp_path):
    class Keeps(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            self.parts = {
                name: keras.Model(self.model.input, self.model.get_layer(name).output)
                for name in ("first", "second", "head")
            }
            self.expected = []
            self.keep()

        def on_epoch_end(self, epoch, logs=None):
            self.keep()

        def keep(self):
            before, both = self.model.get_weights(), {}
            for name, part in self.parts.items():
                both[name] = [ops.convert_to_numpy(part(X, training=training)) for training in (False, True)]
                self.model.set_weights(before)  # its moving statistics
            self.expected.append(
                {name: (cka(*maps), separation(maps[1]) - separation(maps[0])) for name, maps in both.items()}
            )

    keras.utils.set_random_seed(1)
    model, keeps = normalised(), Keeps()
    model.compile(keras.optimizers.Adam(0.01), "binary_crossentropy")
    watched = FeatureMapCallback(X, tmp_path, masks=MASKS, layers="all", training_pass=True)
    targets = MASKS[..., None].astype("float32")
    model.fit(X, targets, batch_size=2, epochs=3, verbose=0, callbacks=[keeps, watched])
    run = open_log(tmp_path)[0]
    for layer in run.layers:
        expected = np.array([each[layer.name] for each in keeps.expected])
        np.testing.assert_allclose(layer.summaries("training_cka"), expected[:, 0], atol=0.005)
        np.testing.assert_allclose(layer.summaries("training_gap"), expected[:, 1], atol=0.01)
    assert run["first"].summaries("training_cka") == pytest.approx(1.0, abs=1e-6)
    assert (run["second"].summaries("training_cka") < 0.995).any()


def test_without_it_nothing_of_it_is_stored_and_nothing_said(tmp_path, capfd):
    for training_pass in (False, True):
        model = normalised()
        model.compile("sgd", "mse")
        watched = FeatureMapCallback(X, tmp_path / str(training_pass), layers="all", training_pass=training_pass)
        model.fit(X, X[..., :1], verbose=1, callbacks=[watched])
        summaries = open_log(watched.log_dir)[0].layers[0].facts.summaries
        assert ("training_cka" in summaries) is training_pass and "training_gap" not in summaries
        assert ("a second pass, in training mode" in capfd.readouterr().out) is training_pass
