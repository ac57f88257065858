"""Those who put a class of their own in the place of TensorBoard's writer hear of our directories, as Weights & Biases does."""

import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from reading import on_both_paths
from support.decoding import stored
from tensorboard.summary.writer import event_file_writer

from fm_callback import FeatureMapCallback
from fm_callback.write.run_files import event_files


def train(log_dir: Path, epochs: int = 2, like: keras.Model | None = None, **options: int) -> keras.Model:
    x = np.random.default_rng(0).random((4, 8, 8, 3)).astype("float32")
    model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(3, 3, padding="same", name="conv")])
    model.compile("sgd", "mse")
    if like is not None:
        model.set_weights(like.get_weights())
    model.fit(x, x, epochs=epochs, verbose=0, callbacks=[FeatureMapCallback(x[:1], log_dir)], **options)
    return model


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    heard: list[str] = []

    class Listening(event_file_writer.EventFileWriter):
        def __init__(self, logdir: str, *args: object, **kwargs: object) -> None:
            heard.append(logdir)
            super().__init__(logdir, *args, **kwargs)

    monkeypatch.setattr(event_file_writer, "EventFileWriter", Listening)
    return heard


def test_a_listener_hears_of_each_run_once_and_tensorboard_reads_all_steps(heard, tmp_path):
    train(tmp_path)
    train(tmp_path, epochs=1)
    assert heard == [str(tmp_path / "feature_maps"), str(tmp_path / "feature_maps_2")]
    assert {run: tags["feature_maps/#1 conv"] for run, tags in on_both_paths(tmp_path).items()} == {
        "feature_maps": [0, 1, 2],
        "feature_maps_2": [0, 1],
    }


def test_a_training_that_goes_on_is_read_to_its_end(heard, tmp_path):
    train(tmp_path, epochs=4, initial_epoch=2, like=train(tmp_path))
    assert heard == [str(tmp_path / "feature_maps")] * 2
    assert on_both_paths(tmp_path)["feature_maps"]["feature_maps/#1 conv"] == [0, 1, 2, 3, 4]


def test_without_a_listener_there_is_no_file_but_ours(tmp_path):
    train(tmp_path)
    assert len(event_files(tmp_path / "feature_maps")) == 1


def test_a_listener_that_fails_is_told_of_and_logging_goes_on(monkeypatch, tmp_path):
    class Failing(event_file_writer.EventFileWriter):
        def __init__(self, *args: object, **kwargs: object) -> None:
            raise LookupError("no run")

    monkeypatch.setattr(event_file_writer, "EventFileWriter", Failing)
    with pytest.warns(RuntimeWarning, match=r"could not announce .*feature_maps to .*Failing.*LookupError\('no run'\)"):
        train(tmp_path)
    assert list(stored(tmp_path / "feature_maps")) == [0, 1, 2]


def test_weights_and_biases_itself_takes_scalars_and_pictures(tmp_path):
    pytest.importorskip("wandb")
    program = """
import sys
sys.path.insert(0, sys.argv.pop())
from pathlib import Path
import wandb
from test_announce import train
wandb.init(project="try", mode="offline", sync_tensorboard=True, dir=sys.argv[1], settings=wandb.Settings(silent=True))
train(Path(sys.argv[1], "logs"))
wandb.finish()
"""
    subprocess.run([sys.executable, "-c", program, tmp_path, Path(__file__).parent], check=True, timeout=120)
    (log,) = tmp_path.glob("wandb/offline-run-*/run-*.wandb")
    assert b"maps_dead_or_flat/#1 conv" in log.read_bytes()
    assert len(list(tmp_path.glob("wandb/offline-run-*/files/media/images/*.png"))) == 3, "of each step one"
