"""TensorBoard on real logs, and headless Chromium and Firefox in front of it; one that is missing is skipped."""

import functools
import shutil
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib import resources

import keras
import numpy as np
import pytest
from reading import tensorboard
from tab import HOSTILE, HOSTILE_RUN, Run, Tab, register_plugin

#: Program and options of each browser, as Debian has it. A channel that starts with "moz-" lets Playwright steer
#: Mozilla's own Firefox, over WebDriver BiDi, and not one that it has patched.
BROWSERS = {
    "chromium": ("chromium", {"args": ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]}),
    "firefox": ("firefox-esr", {"channel": "moz-firefox"}),
}


def _needs(program):
    return pytest.mark.skipif(
        not shutil.which(program), reason=f"{program} is not installed: the tab is not tested in it"
    )


@pytest.fixture(scope="session", autouse=True)
def plugin(tmp_path_factory):
    pytest.importorskip("playwright.sync_api", reason="playwright is not installed: the tab is not tested in a browser")
    with pytest.MonkeyPatch.context() as patch:
        register_plugin(tmp_path_factory.mktemp("site"), patch)
        yield


@pytest.fixture(
    scope="session",
    params=[
        pytest.param("chromium", marks=_needs("chromium")),
        pytest.param("firefox", marks=[_needs("firefox-esr"), pytest.mark.firefox]),
    ],
)
def browser(request, plugin, tmp_path_factory):
    from playwright.sync_api import sync_playwright

    program, options = BROWSERS[request.param]
    downloads = tmp_path_factory.mktemp("downloads")
    with sync_playwright() as playwright:
        start = getattr(playwright, request.param).launch
        browser = start(executable_path=shutil.which(program), downloads_path=downloads, **options)
        browser.downloads = downloads
        yield browser
        browser.close()


@pytest.fixture
def page(browser):
    """A page; an error on its console and an answer that is one fail the test."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, accept_downloads=True)
    page = context.new_page()
    trouble = []

    # Behind a path prefix TensorBoard asks for its own fonts in the wrong place.
    def hear(text, url=""):
        if "/font-roboto/" not in (told := f"{text} {url}"):
            trouble.append(told)

    def hear_console(message):
        if message.type == "error":
            hear(message.text, message.location.get("url", ""))

    def hear_answer(response):  # Firefox's console keeps these to itself
        if response.status >= 400:
            hear(response.status, response.url)

    page.on("console", hear_console)
    page.on("response", hear_answer)
    page.on("pageerror", hear)
    page.trouble, page.downloads = trouble, browser.downloads
    yield page
    context.close()
    assert not trouble


@pytest.fixture(scope="session")
def served():
    """The page's files and nothing else."""
    folder = resources.files("fm_callback") / "page"

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

        def do_GET(self):
            if self.path == "/favicon.ico":  # browsers ask for it by themselves
                self.send_response(204)
                self.end_headers()
            else:
                super().do_GET()

    server = ThreadingHTTPServer(("localhost", 0), functools.partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://localhost:{server.server_port}"
    server.shutdown()


@pytest.fixture
def run(page, served):
    """Runs JavaScript with some of a module's names: `run("data/shelf.js", "Shelf", body, argument)`."""
    page.goto(f"{served}/data/types.js")

    def run(path, names, body, argument=None):
        return page.evaluate(
            f"async (given) => {{ const {{ {names} }} = await import('/{path}'); {body} }}",
            argument,
        )

    return run


@pytest.fixture(scope="session")
def trained(tmp_path_factory, plugin):
    """Two runs of a small segmentation network, as a real `fit` writes them."""
    from fm_callback import FeatureMapCallback

    path = tmp_path_factory.mktemp("trained")
    rng = np.random.default_rng(0)
    masks = np.zeros((12, 32, 32), np.uint8)
    for mask in masks:
        x, y = rng.integers(2, 14, 2)
        mask[y : y + 14, x : x + 14] = 1
    images = (0.3 * rng.random((12, 32, 32, 3)) + 0.6 * masks[..., None]).astype("float32")
    layers = keras.layers
    for seed in (0, 1):
        keras.utils.set_random_seed(seed)
        inputs = keras.Input((32, 32, 3))
        x = layers.Conv2D(16, 3, padding="same", activation="relu", name="stem")(inputs)
        x = layers.Conv2D(32, 3, strides=2, padding="same", activation="relu", name="down")(x)
        x = layers.Conv2DTranspose(16, 2, strides=2, name="up")(x)
        model = keras.Model(inputs, layers.Conv2D(2, 1, activation="softmax", name="head")(x))
        model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
        callback = FeatureMapCallback(images[:4], path / f"seed{seed}", masks=masks[:4], layers="all")
        model.fit(images, masks, epochs=6, batch_size=4, verbose=0, callbacks=[callback])
    return path


def _ready(count):
    return lambda found: len(found.get("runs", [])) == count


@pytest.fixture(scope="session")
def tab_of(trained):
    """TensorBoard on the trained runs, behind a prefix."""
    with tensorboard(trained, True, "--path_prefix=/a/prefix") as board:
        board.wait_for("/data/plugin/feature_maps/runs", _ready(2))
        yield board


@pytest.fixture
def tab(page, tab_of):
    return Tab(page, tab_of)


@pytest.fixture(scope="session")
def odd_log(tmp_path_factory, plugin):
    """Hostile names, a newer format, and one that changed what this version needs."""
    path = tmp_path_factory.mktemp("odd")
    Run(path / HOSTILE_RUN, {"stem": (8, 8, 4), HOSTILE: (6, 6, 8)}, steps=[0, 1, 2])
    Run(path / "newer", {"stem": (8, 8, 4)}, steps=[0, 1], version=3)
    Run(path / "unreadable", {"stem": (8, 8, 4)}, steps=[0], version=4, lacking=["rows"])
    Run(path / "strips", {"conv1d": (1, 40, 4), "point": (1, 1, 32), "many": (5, 5, 70)}, steps=[0, 3, 9], masks=False)
    return path


@pytest.fixture(scope="session")
def odd_board(odd_log):
    with tensorboard(odd_log, True) as board:
        board.wait_for("/data/plugin/feature_maps/runs", _ready(4))
        yield board


@pytest.fixture
def odd(page, odd_board):
    return Tab(page, odd_board)
