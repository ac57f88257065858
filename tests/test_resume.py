"""Which run a training goes on in: real fits, in loops, after crashes, among other trainings, and what their logs then hold."""

import copy
import errno
import os
import shutil

import keras
import numpy as np
import pytest

from fm_callback import FeatureMapCallback, open_log

X = np.random.default_rng(0).random((8, 12, 12, 3)).astype("float32")
Y = X.mean(-1, keepdims=True)


def made(seed, rate=0.1):
    keras.utils.set_random_seed(seed)
    model = keras.Sequential(
        [
            keras.Input((12, 12, 3)),
            keras.layers.Conv2D(6, 3, padding="same", activation="relu", name="first"),
            keras.layers.Conv2D(1, 3, padding="same", name="second"),
        ]
    )
    model.compile(keras.optimizers.SGD(rate), "mse")
    return model


def fit(model, callback, first, last, *others, **options):
    """Trains from an epoch to another; the callback may be a directory, for one of its own."""
    ours = callback if isinstance(callback, keras.callbacks.Callback) else FeatureMapCallback(X[:2], callback)
    options = {"batch_size": 4, "verbose": 0} | options
    model.fit(X, Y, initial_epoch=first, epochs=last, callbacks=[*others, ours], **options)
    return model


def means(log_dir):
    """`{run: {step: the means of all channels}}`."""
    found = {}
    for name, run in open_log(log_dir).items():
        table = run.table("channel")
        found[name] = {step: table["mean"][table["step"] == step].tolist() for step in run.steps}
    return found


def steps(log_dir):
    return {name: list(of_steps) for name, of_steps in means(log_dir).items()}


def now(model):
    """The means of all channels as the model is now, by the model's own layers."""
    inputs, found = X[:2], []
    for layer in model.layers:
        inputs = keras.ops.convert_to_numpy(layer(inputs, training=False))
        found += inputs.mean((0, 1, 2)).tolist()
    return pytest.approx(found, rel=1e-3, abs=1e-5)


# --- `fit` in a loop.


@pytest.mark.parametrize("which", ["one callback", "a callback each"])
@pytest.mark.parametrize("update_freq", ["epoch", 2])
def test_fits_of_one_epoch_are_one_run_that_counts_on(which, update_freq, tmp_path):
    model, expected = made(1), {}
    callback = FeatureMapCallback(X[:2], tmp_path, update_freq=update_freq)
    for turn in range(1, 8):
        if which != "one callback":
            callback = FeatureMapCallback(X[:2], tmp_path, update_freq=update_freq)
        fit(model, callback, 0, 1)
        expected[turn * (1 if update_freq == "epoch" else 2)] = now(model)
    found = means(tmp_path)
    assert found.keys() == {"feature_maps"}
    assert {step: found["feature_maps"][step] for step in expected} == expected
    assert list(found["feature_maps"]) == [0, *expected]
    assert len(os.listdir(tmp_path / "feature_maps")) == 2, "one log, one event file"
    table = open_log(tmp_path)["feature_maps"].table("layer")
    for score in ("cka_previous", "cka_first"):
        assert np.isnan(table[score]).tolist() == (table["step"] == 0).tolist(), "nothing is lost between two calls"


def test_a_callback_goes_on_with_a_model_that_is_loaded_each_time(tmp_path):
    callback = FeatureMapCallback(X[:2], tmp_path)
    made(1).save(tmp_path / "model.keras")
    for _ in range(3):
        fit(keras.models.load_model(tmp_path / "model.keras"), callback, 0, 1).save(tmp_path / "model.keras")
    assert steps(tmp_path) == {"feature_maps": [0, 1, 2, 3]}


def test_a_bucket_that_appends_to_no_file_gets_a_new_one_each_time(tmp_path, monkeypatch):
    real = os.open

    def refusing(path, flags, *rest, **options):
        if flags & os.O_APPEND:
            raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))
        return real(path, flags, *rest, **options)

    monkeypatch.setattr(os, "open", refusing)
    model, callback = made(1), FeatureMapCallback(X[:2], tmp_path)
    for _ in range(3):
        fit(model, callback, 0, 1)
    found = means(tmp_path)
    assert list(found) == ["feature_maps"] and list(found["feature_maps"]) == [0, 1, 2, 3]
    assert found["feature_maps"][3] == now(model) and len(os.listdir(tmp_path / "feature_maps")) == 6


def test_a_log_that_is_removed_between_two_calls_begins_anew(tmp_path):
    model, callback = made(1), FeatureMapCallback(X[:2], tmp_path)
    fit(model, callback, 0, 2)
    shutil.rmtree(tmp_path / "feature_maps")
    fit(model, callback, 0, 1)
    assert steps(tmp_path) == {"feature_maps": [0, 1]}


def test_a_run_that_another_process_has_gone_on_with_is_not_written_to(tmp_path):
    """By its log alone: the model of this process is at a step that was, and went another way."""
    model = fit(made(1), tmp_path, 0, 3)
    other = made(2, rate=0.2)
    other.set_weights(model.get_weights())
    fit(other, tmp_path, 3, 5)
    before = means(tmp_path)["feature_maps"]
    fit(model, tmp_path, 0, 1)
    found = means(tmp_path)
    assert found["feature_maps"] == before and list(found["feature_maps_2"]) == [0, 1]


def test_a_model_that_is_set_back_is_another_training_and_the_remedy_is_said_once(tmp_path, capsys):
    """Folds of a cross-validation, or weights that somebody averages between two calls."""
    model, callback = made(1), FeatureMapCallback(X[:2], tmp_path)
    weights = model.get_weights()
    for _ in range(3):
        model.set_weights(weights)
        fit(model, callback, 0, 2, verbose=2)
    assert steps(tmp_path) == {name: [0, 1, 2] for name in ("feature_maps", "feature_maps_2", "feature_maps_3")}
    assert capsys.readouterr().out.count("`initial_epoch`") == 1


def test_weights_that_change_between_two_calls_go_on_where_the_first_epoch_says_so(tmp_path):
    model, callback = made(1), FeatureMapCallback(X[:2], tmp_path)
    for epoch in range(3):
        fit(model, callback, epoch, epoch + 1)
        before = now(model)
        model.set_weights([0.5 * value for value in model.get_weights()])
    found = means(tmp_path)
    assert list(found) == ["feature_maps"] and list(found["feature_maps"]) == [0, 1, 2, 3]
    assert found["feature_maps"][3] == before


def test_an_epoch_that_is_counted_from_0_costs_no_step(tmp_path):
    """`initial_epoch=history.epoch[-1]`, as the tutorial on transfer learning has it: the model is one epoch further."""
    model = fit(made(1), tmp_path, 0, 3)
    before = means(tmp_path)["feature_maps"]
    model.compile(keras.optimizers.SGD(0.01), "mse")
    fit(model, tmp_path, 2, 5)
    found = means(tmp_path)
    assert list(found) == ["feature_maps"] and list(found["feature_maps"]) == [0, 1, 2, 3, 4, 5, 6]
    assert {step: found["feature_maps"][step] for step in before} == before and found["feature_maps"][6] == now(model)


def test_a_loop_that_counts_its_epochs_is_as_one_fit(tmp_path):
    model = made(1)
    for epoch in range(4):
        fit(model, tmp_path / "loop", epoch, epoch + 1, shuffle=False)
    fit(made(1), tmp_path / "one", 0, 4, shuffle=False)
    loop, one = means(tmp_path / "loop"), means(tmp_path / "one")
    assert steps(tmp_path / "loop") == steps(tmp_path / "one") == {"feature_maps": [0, 1, 2, 3, 4]}
    np.testing.assert_allclose([*loop["feature_maps"].values()], [*one["feature_maps"].values()], rtol=1e-4, atol=1e-6)


def test_two_callbacks_on_one_model_go_on_with_a_run_each(tmp_path):
    model, callbacks = made(1), [FeatureMapCallback(X[:2], tmp_path) for _ in range(2)]
    for _ in range(3):
        fit(model, callbacks[0], 0, 1, callbacks[1])
    assert steps(tmp_path) == {"feature_maps": [0, 1, 2, 3], "feature_maps_2": [0, 1, 2, 3]}


# --- Other trainings in the same directory.


@pytest.mark.parametrize("same", ["model", "weights"])
@pytest.mark.parametrize("seed", [1, 2], ids=["same seed", "another seed"])
def test_a_training_goes_on_in_its_own_run_though_others_were_written(same, seed, tmp_path):
    ours, other = made(1), made(seed, rate=0.2)
    fit(ours, tmp_path, 0, 2)
    fit(other, tmp_path, 0, 4)
    before = means(tmp_path)["feature_maps_2"]
    if same == "weights":
        loaded = made(3)
        loaded.set_weights(ours.get_weights())
        ours = loaded
    fit(ours, tmp_path, 2, 4)
    found = means(tmp_path)
    assert found["feature_maps_2"] == before and list(found) == ["feature_maps", "feature_maps_2"]
    assert list(found["feature_maps"]) == [0, 1, 2, 3, 4] and found["feature_maps"][4] == now(ours)


@pytest.mark.parametrize("seed", [1, 2], ids=["same seed", "another seed"])
def test_a_training_that_has_no_run_here_gets_one(seed, tmp_path, capsys):
    ours = fit(made(1), tmp_path / "elsewhere", 0, 2)
    fit(made(seed, rate=0.2), tmp_path, 0, 4)
    before = means(tmp_path)["feature_maps"]
    fit(ours, tmp_path, 2, 4, verbose=2)
    found = means(tmp_path)
    assert found["feature_maps"] == before and list(found["feature_maps_2"]) == [2, 3, 4]
    assert "a new run, since none there holds the model as it is at step 2" in capsys.readouterr().out


def test_an_untrained_model_goes_on_with_no_run(tmp_path):
    """A first epoch is given, and the weights were forgotten: by its seed it is what the run began with."""
    fit(made(1), tmp_path, 0, 3)
    fit(made(1), tmp_path, 3, 4)
    assert steps(tmp_path) == {"feature_maps": [0, 1, 2, 3], "feature_maps_2": [3, 4]}


def test_a_search_that_promotes_trials(tmp_path):
    """As KerasTuner's Hyperband does: copies of one callback, new models, the weights of each trial's best epoch."""

    class Best(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == best:
                saved.append(self.model.get_weights())

    callback, saved, rates = FeatureMapCallback(X[:2], tmp_path), [], (0.05, 0.06, 0.07, 0.1)
    for rate, best in zip(rates, (1, 2, 0, 1), strict=True):  # noqa: B007 (`Best` asks for it)
        fit(made(1, rate), copy.deepcopy(callback), 0, 3, Best())
    for trial in (2, 0):
        promoted = made(9, rates[trial])
        promoted.set_weights(saved[trial])
        fit(promoted, copy.deepcopy(callback), 3, 5)
    three, five = list(range(4)), list(range(6))
    assert list(steps(tmp_path).values()) == [five, three, five, three]


# --- After a crash.


def test_training_goes_on_from_an_earlier_checkpoint_and_later_steps_are_gone(tmp_path):
    model, saved = made(1), []
    keep = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: saved.append(model.get_weights()))
    fit(model, tmp_path, 0, 6, keep)
    before = means(tmp_path)["feature_maps"]
    resumed = made(2, rate=0.3)
    resumed.set_weights(saved[2])
    fit(resumed, tmp_path, 3, 5)
    found = means(tmp_path)
    assert list(found) == ["feature_maps"] and list(found["feature_maps"]) == [0, 1, 2, 3, 4, 5]
    assert [found["feature_maps"][step] for step in range(4)] == [before[step] for step in range(4)]
    assert found["feature_maps"][4] != before[4] and found["feature_maps"][5] == now(resumed)
    kept = open_log(tmp_path)["feature_maps"].table("layer")
    assert np.isnan(kept["cka_previous"]).tolist() == (kept["step"] == 0).tolist(), (
        "step 4 is compared with the step 3 that stays"
    )


class Crash(keras.callbacks.Callback):
    """Ends the training in an epoch, once."""

    def __init__(self, epoch, batch):
        super().__init__()
        self.at, self.epoch = (epoch, batch), 0

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if (self.epoch, batch) == self.at:
            raise ZeroDivisionError("the machine is gone")


@pytest.mark.parametrize("ours_first", [True, False])
@pytest.mark.parametrize("save_freq", ["epoch", 1])
def test_backup_and_restore(ours_first, save_freq, tmp_path, capsys):
    """Backed up in an epoch, the model is at no step of its run: it does not pass for one."""
    log_dir = tmp_path / "logs"

    def train(seed, *crash):
        backup = keras.callbacks.BackupAndRestore(tmp_path / "backup", save_freq=save_freq)
        ours = FeatureMapCallback(X[:2], log_dir)
        callbacks = [ours, backup] if ours_first else [backup, ours]
        made(seed).fit(X, Y, batch_size=2, epochs=4, verbose=2, callbacks=[*callbacks, *crash])

    with pytest.raises(ZeroDivisionError):
        train(1, Crash(2, 1))
    before = means(log_dir)["feature_maps"]
    capsys.readouterr()
    train(2)
    found = means(log_dir)
    assert list(before) == [0, 1, 2] and {step: found["feature_maps"][step] for step in before} == before
    if save_freq == "epoch":
        assert steps(log_dir) == {"feature_maps": [0, 1, 2, 3, 4]}
        assert f"go on in {log_dir / 'feature_maps'} behind step 2" in capsys.readouterr().out
    else:
        assert steps(log_dir) == {"feature_maps": [0, 1, 2], "feature_maps_2": [2, 3, 4]}
        assert "a new run, since none there holds the model as it is at step 2" in capsys.readouterr().out


def test_a_model_interrupted_in_an_epoch_goes_on_in_its_process_behind_the_last_step(tmp_path):
    """As in a notebook: the same model, by whichever callback; its last step stays what it was."""
    model = made(1, rate=0.5)
    with pytest.raises(ZeroDivisionError) as alive:  # with all frames of `fit`, and its callbacks
        fit(model, tmp_path, 0, 4, Crash(2, 1), batch_size=2)
    before = means(tmp_path)["feature_maps"]
    fit(model, tmp_path, 2, 4)
    found = means(tmp_path)
    assert list(found) == ["feature_maps"] and list(found["feature_maps"]) == [0, 1, 2, 3, 4]
    assert {step: found["feature_maps"][step] for step in before} == before and found["feature_maps"][4] == now(model)
    assert alive.traceback


@pytest.mark.parametrize("update_freq", [1, 3])
def test_batches_go_on_from_a_checkpoint(update_freq, tmp_path):
    model, where = made(1), tmp_path / "model.keras"
    fit(model, FeatureMapCallback(X[:2], tmp_path / "logs", update_freq=update_freq), 0, 3)
    model.save(where)
    loaded = keras.models.load_model(where)
    fit(loaded, FeatureMapCallback(X[:2], tmp_path / "logs", update_freq=update_freq), 3, 5)
    found = means(tmp_path / "logs")
    expected = list(range(11)) if update_freq == 1 else [0, 3, 6, 9, 10]
    assert list(found) == ["feature_maps"] and list(found["feature_maps"]) == expected
    assert found["feature_maps"][10] == now(loaded)


def test_a_large_probe_goes_on_too(tmp_path):
    """In chunks, which have their own way to the numbers."""
    many = np.random.default_rng(1).random((20, 12, 12, 3)).astype("float32")
    model = made(1)
    for epoch in range(3):
        loaded = made(2)
        loaded.set_weights(model.get_weights())
        model = fit(loaded, FeatureMapCallback(many, tmp_path), epoch, epoch + 1)
    assert steps(tmp_path) == {"feature_maps": [0, 1, 2, 3]}
