"""The wheel and the source archive, as somebody installs them who has nothing else."""

import json
import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from support.logs import RunLog

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "fm_callback" / "page"


def ran(*command, **options):
    done = subprocess.run(command, capture_output=True, text=True, **options)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A folder with both, built of a copy of what git holds."""
    folder = tmp_path_factory.mktemp("package")
    source = folder / "source"
    for name in ran("git", "-C", str(ROOT), "ls-files", "-z").rstrip("\0").split("\0"):
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    ran(sys.executable, "-m", "venv", str(folder / "tools"))
    python = str(folder / "tools" / "bin" / "python")
    try:
        ran(python, "-m", "pip", "install", "--quiet", "build", "twine")
    except AssertionError as error:
        pytest.skip(f"what builds it can't be installed here: {error}")
    ran(python, "-m", "build", "--outdir", str(folder / "dist"), str(source))
    return folder


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_both_hold_the_whole_and_are_described_right(built):
    wheel, archive = sorted((built / "dist").iterdir(), key=lambda each: each.suffix != ".whl")
    ran(str(built / "tools" / "bin" / "python"), "-m", "twine", "check", "--strict", str(wheel), str(archive))
    with zipfile.ZipFile(wheel) as file:
        names = set(file.namelist())
    files = {path.relative_to(ROOT).as_posix() for path in (ROOT / "fm_callback").rglob("*") if path.is_file()}
    files = {name for name in files if "__pycache__" not in name}
    assert files <= names
    assert {name.split("/")[0] for name in names - files} == {"fm_callback-0.1.0.dist-info"}
    with tarfile.open(archive) as file:
        assert {f"fm_callback-0.1.0/{name}" for name in (*files, "README.md", "LICENSE")} <= set(file.getnames())


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_installed_alone_it_reads_logs_makes_reports_and_is_found_by_tensorboard(built, tmp_path):
    ran(sys.executable, "-m", "venv", str(tmp_path / "user"))
    python, wheel = tmp_path / "user" / "bin" / "python", next((built / "dist").glob("*.whl"))
    ran(str(python), "-m", "pip", "install", "--quiet", str(wheel))
    RunLog(tmp_path / "logs", {"stem": (8, 8, 4)}, steps=[0, 1])
    alone = {"cwd": tmp_path, "env": {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}}
    command = str(python.with_name("fm-callback"))
    assert json.loads(ran(command, "ls", "logs", "--json", **alone))[0]["steps"] == [0, 1]
    ran(command, "check", "logs", **alone)
    ran(command, "report", "logs", "-o", "report.html", **alone)
    ran(command, "film", "logs", "--layer", "1", "--colour", "-o", "film.gif", **alone)
    assert (tmp_path / "report.html").stat().st_size > 1e5 and (tmp_path / "film.gif").read_bytes()[:4] == b"GIF8"
    program = """
from importlib.metadata import entry_points
from tensorboard.plugins.base_plugin import TBContext
(entry,) = [each for each in entry_points(group="tensorboard_plugins") if each.name == "feature_maps"]
class Flags: logdir_spec = ""
plugin = entry.load()().load(TBContext(logdir="logs", flags=Flags()))
assert plugin.is_active() and "/static/tensorboard.js" in plugin.get_plugin_apps()
import fm_callback
assert "site-packages" in fm_callback.__file__
print(len(fm_callback.open_log("logs")["feature_maps"].steps))"""
    assert ran(str(python), "-c", program, **alone).strip() == "2"
    ran(str(python), "-m", "pip", "check")
