"""Reports, opened from disk: every view, no server, no request, nothing of a log that runs."""

import base64
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import quote

import numpy as np
import pytest
from tab import HOSTILE, HOSTILE_RUN, until

from fm_callback import open_log
from fm_callback import show as show_in_notebook
from fm_callback.read.pack import Blocks
from fm_callback.read.report import _file, write_report

VIEWS = ("overview", "evolution", "layer", "channel", "compare", "depth", "prediction", "labels")
DONE = """() => document.querySelector("main:not([aria-label=loading])")
  && ![...document.querySelectorAll("canvas.waiting")].some((each) => each.getBoundingClientRect().top < 700)"""


@pytest.fixture(scope="session")
def report(trained, tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "report.html"
    write_report(open_log(trained), path)
    return path


@pytest.fixture
def asked(page):
    """What the page asks of anybody."""
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    return asked


def show(page, path, **state):
    page.goto("about:blank")
    page.goto(f"{path.as_uri()}#{'&'.join(f'{key}={value}' for key, value in state.items())}")
    until(page, DONE)


def test_every_view_works_from_disk_and_asks_nobody(page, asked, report):
    for view in VIEWS:
        show(page, report, view=view, layer="up")
        assert page.locator("h1").inner_text().lower().endswith(view) and not page.locator(".trouble").count()
        assert page.locator("main canvas, main svg, main table").count(), view
    assert {url for url in asked if not url.startswith(("blob:", "data:", "about:"))} <= {
        f"{report.as_uri()}#view={view}&layer=up" for view in VIEWS
    } | {report.as_uri()}


def test_it_looks_as_the_tab_does(page, report, tab):
    look = """() => [...document.querySelectorAll("main .row canvas")].slice(0, 12).map((each) => each.width
      && [...each.getContext("2d").getImageData(0, 0, each.width, each.height).data].reduce((a, b) => a + b))"""
    run = "seed1/feature_maps"
    tab.open(run=run)
    tab.page.wait_for_timeout(500)
    expected = tab.frame.evaluate(look)
    assert len(expected) == 12 and len(set(expected)) > 6
    show(page, report, view="evolution", run=run)
    page.wait_for_timeout(500)
    assert page.evaluate(look) == expected
    assert page.evaluate("getComputedStyle(document.querySelector('.row')).display") == "grid"


def test_its_address_is_kept_and_obeyed(page, report):
    show(page, report, view="layer", layer="down", step=2)
    assert page.locator(".scrubber output").inner_text().startswith("epoch 2")
    page.keyboard.press("ArrowRight")
    page.wait_for_timeout(500)
    assert "step=3" in page.evaluate("location.hash") and "layer=down" in page.evaluate("location.hash")
    page.get_by_role("button", name="Depth", exact=True).click()
    page.wait_for_timeout(500)
    page.go_back()
    page.wait_for_timeout(500)
    assert page.locator("h1").inner_text().endswith("Layer")


@pytest.fixture
def hosted(report):
    """The report on a server that says that all is UTF-8, as many do; and the paths that it was asked for."""
    asked = []

    class Host(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(200 if self.path == "/report.html" else 204)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.end_headers()
            if self.path == "/report.html":
                self.wfile.write(report.read_bytes())

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("localhost", 0), Host)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://localhost:{server.server_port}/report.html", asked
    server.shutdown()


def test_on_a_server_one_file_is_asked_for_and_what_takes_long_is_reckoned_beside_the_page(page, hosted):
    page.add_init_script(
        """const Real = Worker; window.heard = 0;
        window.Worker = class extends Real {
          set onmessage(listener) { super.onmessage = (event) => { window.heard++; listener(event); }; }
        };"""
    )
    url, asked = hosted
    page.goto(f"{url}#view=evolution")
    until(page, DONE)
    page.wait_for_timeout(500)
    assert page.evaluate("heard") > 4, "that it runs, and colours"
    assert asked == ["/report.html"]


def test_it_may_load_nothing_and_keeps_nothing(page, report, served):
    show(page, report, view="evolution")
    refused = """async (url) => {
      const image = new Promise((resolve) => {
        const image = new Image();
        image.onload = () => resolve("loaded"); image.onerror = () => resolve("refused");
        image.src = `${url}/image.png`;
      });
      return [await fetch(url).then(() => "loaded", () => "refused"), await image];
    }"""
    assert page.evaluate(refused, served) == ["refused", "refused"]
    page.wait_for_timeout(500)
    page.trouble.clear()  # which tells of it
    assert page.evaluate("[localStorage.length, sessionStorage.length, document.cookie]") == [0, 0, ""]


def test_hostile_names_are_shown_and_never_run(page, odd_log, tmp_path):
    write_report(open_log(odd_log), tmp_path / "report.html")
    for view in VIEWS[1:6]:
        page.goto("about:blank")
        show(page, tmp_path / "report.html", view=view, run=quote(f"{HOSTILE_RUN}/feature_maps"), layer=quote(HOSTILE))
        assert page.locator("main img[src=x]").count() == 0 and page.title() == "Feature maps"
    assert "<img src=x onerror=" in page.locator("main").inner_text()


def test_a_film_is_saved(page, report):
    show(page, report, view="layer", layer="up")
    before = set(page.downloads.iterdir())
    page.get_by_text("Save", exact=True).click()
    page.get_by_text("GIF").first.click()
    for _ in range(100):
        page.wait_for_timeout(100)
        if found := [each for each in set(page.downloads.iterdir()) - before if each.read_bytes()[:4] == b"GIF8"]:
            break
    assert found


def test_all_units_come_through(page, tmp_path):
    units = np.arange(65536, dtype="<u2")
    data = units.tobytes() + b"\x00" + np.roll(units, 7777).tobytes() + b"\r\n\r\r\n\0<!--</script>"
    texts = []
    blocks = Blocks(texts.append)
    door = """export async function render({ held }) {
      document.body.id = "done";
      document.body.textContent = btoa([...await held("all")].map((each) => String.fromCharCode(each)).join(""));
    }"""
    place = blocks.add(json.dumps([["report.js", door]]).encode(), packed=True)
    index = {"page": place, "held": [["all", blocks.add(data)]]}
    blocks.close(json.dumps(index).encode())
    shell = _file("report.html").replace("/*unpack*/", _file("unpack.js")).replace("<!--blocks-->", "".join(texts))
    (tmp_path / "units.html").write_text(shell, encoding="utf-16")
    page.goto((tmp_path / "units.html").as_uri())
    until(page, "() => document.body?.id === 'done'")
    assert base64.b64decode(page.evaluate("document.body.textContent")) == data


def test_a_report_that_is_cut_off_says_so(page, report, tmp_path):
    data = report.read_bytes()
    (tmp_path / "cut.html").write_bytes(data[: len(data) // 4 * 2])
    page.goto((tmp_path / "cut.html").as_uri())
    assert page.locator("body").inner_text().strip().endswith("If nothing follows, the file is cut off.")


def test_in_a_notebook_it_works_and_touches_nothing_around_it(page, trained, tmp_path):
    frame = show_in_notebook(trained / "seed0", height=600)._repr_html_()
    (tmp_path / "notebook.html").write_text(f"<!doctype html><meta charset=utf-8><title>note</title><p>cell</p>{frame}")
    page.goto((tmp_path / "notebook.html").as_uri())
    before = page.evaluate("[location.href, history.length]")
    inside = page.frame_locator("iframe")
    inside.locator("main h2, main .row").first.wait_for()
    for view in ("Evolution", "Layer", "Prediction"):
        inside.get_by_role("button", name=view, exact=True).click()
        page.wait_for_timeout(700)
        assert inside.locator("h1").inner_text().endswith(view)
        assert inside.locator("main canvas").count()
    assert page.evaluate("[location.href, history.length]") == before and page.title() == "note"
