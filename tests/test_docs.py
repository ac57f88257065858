"""The examples in docstrings run."""

import configparser
import doctest
import importlib
import pkgutil
import subprocess
import sys
from pathlib import Path

import keras
import pytest
from packaging.requirements import Requirement
from support.logs import RunLog

import fm_callback

MODULES = [
    module.name
    for module in pkgutil.walk_packages(fm_callback.__path__, "fm_callback.")
    if not module.ispkg and (".backends." not in module.name or module.name.endswith(f".{keras.backend.backend()}"))
]


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings(name, tmp_path, monkeypatch):
    RunLog(tmp_path / "logs", {"stem": (8, 8, 4)}, steps=[0, 1, 2])  # the log of which the reader's examples tell
    monkeypatch.chdir(tmp_path)
    module = importlib.import_module(name)
    assert doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE).failed == 0


def test_every_public_class_and_function_has_an_example():
    for name in fm_callback.__all__:
        if name != "ConvLayer":
            assert ">>> " in (getattr(fm_callback, name).__doc__ or ""), name


def test_a_backend_that_can_not_be_imported_says_why():
    """Python takes an AttributeError out of a module's `__getattr__` for "no such name", and hides it."""
    program = """
import sys
class Broken:
    def find_spec(self, name, path=None, target=None):
        if name == "keras":
            raise AttributeError("module 'numpy.dtypes' has no attribute 'StringDType'")
sys.meta_path.insert(0, Broken())
from fm_callback import FeatureMapCallback
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stderr.splitlines()[-1] == (
        "ImportError: fm_callback.callback can't be imported: AttributeError: "
        "module 'numpy.dtypes' has no attribute 'StringDType'"
    )


def test_every_tensorboard_that_is_allowed_starts():
    """Up to 2.20 it needs pkg_resources, which setuptools has until 81, and does not say so."""
    setup = configparser.ConfigParser()
    setup.read(Path(__file__).parent.parent / "setup.cfg")
    needs = {need.name: need.specifier for need in map(Requirement, setup["options"]["install_requires"].split())}
    assert not needs["tensorboard"].contains("2.20.0") or not needs["setuptools"].contains("82.0.0")


def test_the_floors_are_the_versions_that_are_tested():
    root = Path(__file__).parent.parent
    setup = configparser.ConfigParser()
    setup.read(root / "setup.cfg")
    lines = [line for line in (root / ".ci" / "lowest.txt").read_text().splitlines() if not line.startswith("#")]
    tested = {need.name: str(next(iter(need.specifier)).version) for need in map(Requirement, lines)}
    for need in map(Requirement, setup["options"]["install_requires"].split()):
        floors = [each.version for each in need.specifier if each.operator == ">="]
        assert need.specifier.contains(tested[need.name]), need
        assert all(tested[need.name].startswith(each) for each in floors), need
        assert floors or need.name == "setuptools"


def test_a_pillow_that_has_no_font_of_a_size_is_not_taken():
    setup = configparser.ConfigParser()
    setup.read(Path(__file__).parent.parent / "setup.cfg")
    needs = {need.name: need.specifier for need in map(Requirement, setup["options"]["install_requires"].split())}
    assert not needs["pillow"].contains("10.0.1"), "`ImageFont.load_default(size)` came with 10.1"


def test_public_names_are_found_and_others_are_not():
    assert set(fm_callback.__all__) <= set(dir(fm_callback))
    with pytest.raises(AttributeError, match="no attribute 'FeatureMapCalback'"):
        fm_callback.FeatureMapCalback  # noqa: B018
