"""The examples in docstrings run."""

import doctest
import importlib
import pkgutil

import pytest
from support.logs import RunLog

import fm_callback

MODULES = [module.name for module in pkgutil.walk_packages(fm_callback.__path__, "fm_callback.") if not module.ispkg]


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


def test_public_names_are_found_and_others_are_not():
    assert set(fm_callback.__all__) <= set(dir(fm_callback))
    with pytest.raises(AttributeError, match="no attribute 'FeatureMapCalback'"):
        fm_callback.FeatureMapCalback  # noqa: B018
