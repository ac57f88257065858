"""The training that `make demo` runs."""

import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import train_pets
from sd_unet import sd_unet

from fm_callback import open_log

SCRIPT = Path(train_pets.__file__)


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="TensorFlow traces a function again that made variables"
)
def test_the_training_step_is_traced_once():
    model, traced = sd_unet((32, 32, 3), filters=(8,) * 5, neck=8), []
    train_pets.compile_model(model, True, 10)
    step = model.train_step
    model.train_step = lambda data: (traced.append(1), step(data))[1]
    model.fit(np.zeros((2, 32, 32, 3), "float32"), np.zeros((2, 32, 32), "uint8"), verbose=0)
    assert len(traced) == 1


@pytest.mark.slow
def test_a_small_demo_says_first_how_to_watch_it_and_logs_all_epochs(tmp_path):
    options = [
        "--size",
        "32",
        "--filters",
        "8",
        "--neck",
        "8",
        "--images",
        "8",
        "--epochs",
        "2",
        "--log-dir",
        "my logs",
    ]
    done = subprocess.run([sys.executable, SCRIPT, *options], capture_output=True, text=True, cwd=tmp_path, timeout=280)
    assert done.returncode == 0, done.stderr[-2000:]
    said = done.stdout
    assert 0 <= said.index("tensorboard --logdir 'my logs'") < said.index("Drawing") < said.index("Epoch  1/2")
    _, table = said.split("label  ", 1)
    assert "first detected" in table.splitlines()[0]
    assert [line.split()[0] for line in table.splitlines()[2:5]] == ["pet", "background", "border"]
    run = open_log(tmp_path / "my logs")["feature_maps"]
    assert run.steps == (0, 1, 2) and [layer.number for layer in run.layers] == [1, 5, 12, 24, 33, 43, 50, 51]
