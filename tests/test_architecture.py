"""The way data takes has one direction: no module imports against the arrows of docs/architecture.md; test_page.py holds the page to its own."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "fm_callback"

#: What each part of the package may import of the others. `scores` and `read` meet in the log alone.
ALLOWED = {
    "tfrecord": set(),
    "format": {"tfrecord"},
    "capture": {"format", "scores"},
    "scores": {"format"},
    "write": {"format", "tfrecord", "capture", "scores"},
    "callback": {"capture", "scores", "write", "read"},  # reads the log that was written, for what stands out in it
    "read": {"format", "tfrecord", "scores"},
    "tensorboard_plugin": {"format", "read"},
    "cli": {"format", "capture", "write", "read"},
}
#: What else they may not load: the side that reads needs neither Keras nor TensorBoard, and scores need numpy alone.
FORBIDDEN = {
    "tfrecord": ("keras", "tensorboard", "numpy"),
    "format": ("keras", "tensorboard"),
    "scores": ("keras", "tensorboard", "PIL"),
    "read": ("keras", "tensorboard"),
    "capture": ("tensorboard",),
    "tensorboard_plugin": ("keras", "tensorflow"),
}


def imports(path: Path) -> list[str]:
    """The modules that a module imports anywhere in it, but for type checkers only."""
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body = []
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found += [
                node.module,
                *(f"{node.module}.{alias.name}" for alias in node.names if node.module == "fm_callback"),
            ]
    return found


def modules(part: str) -> list[Path]:
    """The files of a part: a module, or the modules of a folder."""
    return sorted((PACKAGE / part).rglob("*.py")) or [PACKAGE / f"{part}.py"]


def test_every_module_belongs_to_a_part():
    parts = {path.relative_to(PACKAGE).parts[0].removesuffix(".py") for path in PACKAGE.rglob("*.py")}
    assert parts == ALLOWED.keys() | {"__init__"}


@pytest.mark.parametrize("part", ALLOWED)
def test_no_import_goes_against_the_arrows(part):
    for path in modules(part):
        for name in imports(path):
            package, *rest = name.split(".")
            if package == "fm_callback" and rest and not rest[0].startswith("__"):
                assert rest[0] in ALLOWED[part] | {part}, f"{path.name} imports {name}"
            assert package not in FORBIDDEN.get(part, ()), f"{path.name} imports {name}"
