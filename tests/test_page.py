"""The page's sources: what may import what, what old browsers lack, and what only the doors may know."""

import re
from importlib import resources
from pathlib import Path

import pytest

PAGE = Path(str(resources.files("fm_callback"))) / "page"
MODULES = sorted(path for path in PAGE.rglob("*.js") if path.parent.name != "vendor")
#: What a folder may import, beside itself and the libraries.
ARROWS = {
    "": {"data", "draw", "state", "parts", "views"},
    "data": set(),
    "draw": {"data"},
    "state": {"data"},
    "parts": {"data", "draw", "state"},
    "views": {"data", "draw", "state", "parts"},
}
DOORS = {"tensorboard.js", "report.js", "unpack.js"}
#: Not in Firefox 115 ESR, Safari 17.3 and Chrome 116.
TOO_NEW = r"\b(groupBy|withResolvers|fromAsync|isSubsetOf|isSupersetOf|symmetricDifference|\.union\(|\.intersection\(|\.values\(\)\.(map|filter|take|drop|toArray)|Iterator\.from|\.with\(|RegExp\.escape|Promise\.try)"

named = pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PAGE)))


def imports(path):
    text = path.read_text()
    return [
        (path.parent / found).resolve() for found in re.findall(r'^(?:import|export) [^;]*?from "(\..*?)";', text, re.M)
    ]


@named
def test_arrows_go_one_way(path):
    folder = path.parent.relative_to(PAGE).as_posix()
    for other in imports(path):
        assert other.exists(), other
        there = other.parent.relative_to(PAGE).as_posix()
        assert there in {"vendor", "." if folder == "." else folder, *ARROWS["" if folder == "." else folder]}, other
        assert other.name != "types.js", "types are for comments"


def test_no_module_imports_itself_by_way_of_others():
    graph = {path: [each for each in imports(path) if "vendor" not in each.parts] for path in MODULES}
    done = set()

    def walk(path, above):
        assert path not in above, [each.name for each in (*above, path)]
        if path not in done:
            for other in graph[path]:
                walk(other, (*above, path))
            done.add(path)

    for path in MODULES:
        walk(path, ())


@named
def test_sources_are_checked_and_fit_the_width(path):
    lines = path.read_text().splitlines()
    assert lines[0] == "// @ts-check"
    assert [line for line in lines if len(line) > 120] == []


@named
def test_old_browsers_have_what_is_used(path):
    assert not re.search(TOO_NEW, path.read_text())


def code(path):
    """A source without its comments."""
    return re.sub(r"/\*.*?\*/|^\s*//.*$|\s// .*$", "", path.read_text(), flags=re.S | re.M)


@named
def test_only_the_doors_know_what_is_around_the_page(path):
    if path.name not in DOORS:
        assert not re.search(r"TensorBoard|window\.parent|location\.|\bhistory\.|(?<![\w.])fetch\(", code(path))
    if path.name not in {*DOORS, "files.js"}:
        assert not re.search(r"import\.meta|\bimport\(", code(path))


# Films of channels draw words alone; the others say so where a browser alters what is read back.
SAVERS = ("save_picture.js", "save_film.js", "save_colour_film.js", "save_sheet.js")


def test_data_do_not_pass_through_a_canvas():
    for path in MODULES:
        readers = re.findall(r"getImageData|toDataURL|convertToBlob", code(path))
        assert not readers or path.name in SAVERS, path
