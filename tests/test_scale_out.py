"""One process writes, the others do nothing and wait for nothing: with the engines that exist, on real devices and processes."""

import json
import os
import socket
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.decoding import stored
from zoo import BACKEND

from fm_callback.capture.backends import backend

ROOT = Path(__file__).resolve().parent.parent

PRELUDE = """
import json, os, sys
import keras, numpy as np
from fm_callback import FeatureMapCallback
from keras import layers

def make():
    keras.utils.set_random_seed(5)
    model = keras.Sequential([
        keras.Input((8, 8, 3)), layers.Conv2D(4, 1, name="a"), layers.BatchNormalization(), layers.Dropout(0.2, seed=1),
        layers.Conv2D(2, 3, name="b"), layers.GlobalAveragePooling2D(),
    ])
    model.compile(keras.optimizers.SGD(0.1), "mse")
    return model

X = np.random.default_rng(0).normal(size=(16, 8, 8, 3)).astype("float32")
Y = np.zeros((16, 2), "float32")

def watch(directory):
    # One image: a count that no number of devices divides.
    return FeatureMapCallback(X[0], directory, layers="all", images=False)

def result(model, directory):
    layer = model.get_layer("a")
    values = [keras.ops.convert_to_numpy(local(each)) for each in (layer.kernel, layer.bias)]
    np.savez(os.path.join(directory, "truth.npz"), map=X[:1] @ values[0][0, 0] + values[1])

def local(variable):
    return getattr(variable.value, "addressable_data", lambda _: variable.value)(0)
"""


def start(code: str, *arguments: Any, **environment: Any) -> subprocess.Popen[str]:
    known = {key: value for key, value in os.environ.items() if key not in ("TF_CONFIG", "XLA_FLAGS", "RANK")}
    known |= {
        "KERAS_BACKEND": BACKEND,
        "PYTHONPATH": str(ROOT),
        "TF_CPP_MIN_LOG_LEVEL": "2",
        "CUDA_VISIBLE_DEVICES": "-1",
    }
    return subprocess.Popen(
        [sys.executable, "-c", PRELUDE + textwrap.dedent(code), *map(str, arguments)],
        env=known | {key: str(value) for key, value in environment.items()},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finish(*processes: subprocess.Popen[str]) -> list[str]:
    try:
        outputs = [process.communicate(timeout=240)[0] for process in processes]
    finally:
        for process in processes:
            process.kill()
    for process, output in zip(processes, outputs, strict=True):
        assert process.returncode == 0, output[-4000:]
    return outputs


def port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def check(directory: Path, expected: list[int]) -> None:
    """The steps are there, and the last one's maps are those of the trained weights."""
    steps = stored(directory / "feature_maps")
    assert list(steps) == expected
    truth = np.load(directory / "truth.npz")["map"].reshape(-1, 4)
    _, _, numbers, _ = next(entry for entry in steps[expected[-1]].values() if entry[0].path == "a")
    np.testing.assert_allclose(numbers[:, 0], truth.min(0), atol=1e-5)
    np.testing.assert_allclose(numbers[:, 1], truth.max(0), atol=1e-5)


@pytest.mark.skipif(BACKEND != "tensorflow", reason="a strategy of TensorFlow's")
@pytest.mark.parametrize("where", ["inside", pytest.param("outside", marks=pytest.mark.slow)])
def test_mirrored_strategy_on_two_devices(where: str, tmp_path: Path) -> None:
    code = """
        import tensorflow as tf
        cpu = tf.config.list_physical_devices("CPU")[0]
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
        strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
        directory, where = sys.argv[1:]
        callback = watch(directory) if where == "outside" else None
        with strategy.scope():
            callback = callback or watch(directory)
            model = make()
            if where == "inside":
                model.fit(X, Y, batch_size=4, epochs=2, verbose=0, callbacks=[callback])
        if where == "outside":
            model.fit(X, Y, batch_size=4, epochs=2, verbose=0, callbacks=[callback])
        result(model, directory)

        from fm_callback.capture.capture import Capture
        capture, samples = Capture(model, X[:1], "all", "all"), keras.ops.convert_to_tensor(X[:1])
        capture.outputs(samples)
        kind, written = type(model.variables[0].value.values[0]), []
        original = kind.assign
        kind.assign = lambda *args, **kwargs: (written.append(1), original(*args, **kwargs))[1]
        capture.outputs(samples)
        assert not written, "a capture writes no weights"
    """
    finish(start(code, tmp_path, where))
    check(tmp_path, [0, 1, 2])


@pytest.mark.skipif(BACKEND != "jax", reason="keras.distribution is JAX's")
@pytest.mark.parametrize(
    ("kind", "update_freq"), [("data", "epoch"), pytest.param("model", "2", marks=pytest.mark.slow)]
)
def test_keras_distribution_on_two_devices(kind: str, update_freq: str, tmp_path: Path) -> None:
    code = """
        directory, kind, update_freq = sys.argv[1:]
        devices = keras.distribution.list_devices()
        assert len(devices) == 2, devices
        if kind == "data":
            distribution = keras.distribution.DataParallel(devices=devices)
        else:
            mesh = keras.distribution.DeviceMesh((1, 2), ("batch", "model"), devices)
            layout = keras.distribution.LayoutMap(mesh)
            layout["a/kernel"] = (None, None, None, "model")
            distribution = keras.distribution.ModelParallel(layout_map=layout, batch_dim_name="batch")
        keras.distribution.set_distribution(distribution)
        model, callback = make(), watch(directory)
        if update_freq != "epoch":
            callback = FeatureMapCallback(X[0], directory, layers="all", images=False, update_freq=int(update_freq))
        model.fit(X, Y, batch_size=4, epochs=2, verbose=0, callbacks=[callback])
        values = [np.asarray(each.value) for each in (model.get_layer("a").kernel, model.get_layer("a").bias)]
        np.savez(os.path.join(directory, "truth.npz"), map=X[:1] @ values[0][0, 0] + values[1])
    """
    finish(start(code, tmp_path, kind, update_freq, XLA_FLAGS="--xla_force_host_platform_device_count=2"))
    check(tmp_path, [0, 1, 2] if update_freq == "epoch" else [0, 2, 4, 6, 8])


@pytest.mark.slow
@pytest.mark.skipif(BACKEND != "jax", reason="processes of JAX")
def test_two_processes_of_jax(tmp_path: Path) -> None:
    """Data-parallel over two processes: the first writes, the second makes nothing, not even the directory."""
    code = """
        import jax
        address, rank, directory = sys.argv[1:]
        jax.config.update("jax_cpu_collectives_implementation", "gloo")
        jax.distributed.initialize(address, num_processes=2, process_id=int(rank))
        keras.distribution.set_distribution(keras.distribution.DataParallel(auto_shard_dataset=False))
        model = make()
        model.fit(X, Y, batch_size=4, epochs=2, verbose=0, callbacks=[watch(directory)])
        if rank == "0":
            result(model, directory)
        print("wrote" if os.path.exists(directory + "/feature_maps") else "nothing")
    """
    address = f"127.0.0.1:{port()}"
    folders = [tmp_path / "0", tmp_path / "1"]
    finish(*(start(code, address, rank, folders[rank]) for rank in (0, 1)))
    check(folders[0], [0, 1, 2])
    assert not folders[1].exists()


@pytest.mark.slow
@pytest.mark.skipif(BACKEND != "torch", reason="processes of torch")
def test_two_processes_of_torch(tmp_path: Path) -> None:
    """A loop of one's own around DistributedDataParallel, which Keras's `fit` does not know, with the callback's hooks."""
    code = """
        import torch
        address, rank, directory = sys.argv[1:]
        torch.distributed.init_process_group("gloo", init_method="tcp://" + address, rank=int(rank), world_size=2)
        model = make()
        parallel = torch.nn.parallel.DistributedDataParallel(model, find_unused_parameters=True)
        optimizer = torch.optim.SGD(model.parameters(), 0.1)
        callbacks = keras.callbacks.CallbackList([watch(directory)], model=parallel, epochs=2, verbose=0)
        callbacks.on_train_begin()
        share = slice(int(rank), None, 2)
        for epoch in range(2):
            callbacks.on_epoch_begin(epoch)
            loss = (parallel(torch.from_numpy(X[share]), training=True) ** 2).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            callbacks.on_epoch_end(epoch)
        callbacks.on_train_end()
        if rank == "0":
            result(model, directory)
        torch.distributed.destroy_process_group()
    """
    address = f"127.0.0.1:{port()}"
    folders = [tmp_path / "0", tmp_path / "1"]
    finish(*(start(code, address, rank, folders[rank]) for rank in (0, 1)))
    check(folders[0], [0, 1, 2])
    assert not folders[1].exists()


@pytest.mark.skipif(BACKEND != "tensorflow", reason="TF_CONFIG is TensorFlow's")
@pytest.mark.parametrize(
    ("task", "cluster", "chief"),
    [
        (None, None, True),
        (("chief", 0), {"chief": ["x:1"], "worker": ["x:2"]}, True),
        (("worker", 0), {"chief": ["x:1"], "worker": ["x:2"]}, False),
        (("worker", 0), {"worker": ["x:1", "x:2"]}, True),
        (("worker", 1), {"worker": ["x:1", "x:2"]}, False),
        (("evaluator", 0), {"worker": ["x:1", "x:2"]}, False),
    ],
)
def test_the_chief_of_a_cluster(task: Any, cluster: Any, chief: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TF_CONFIG", raising=False)
    if task:
        config = {"cluster": cluster, "task": {"type": task[0], "index": task[1]}}
        monkeypatch.setenv("TF_CONFIG", json.dumps(config))
    assert backend.is_chief() is chief


@pytest.mark.skipif(BACKEND != "torch", reason="RANK is torch's")
def test_the_first_rank_of_torchrun(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "1")
    assert not backend.is_chief()
    monkeypatch.setenv("RANK", "0")
    assert backend.is_chief()
