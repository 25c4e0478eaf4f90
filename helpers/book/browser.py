"""A headless browser and a server for a folder, to print the built site and to look at it."""

from __future__ import annotations

import functools
import http.server
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_NAMES = ("chromium", "chromium-browser", "google-chrome")
_FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-dev-shm-usage --no-first-run --disable-sync "
    "--disable-background-networking --disable-component-update --hide-scrollbars "
    "--enable-unsafe-swiftshader"
)


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves files and writes no log."""

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing."""


def programs() -> tuple[str, str] | None:
    """The paths of Chromium and of ChromeDriver, None if either is not there."""
    found = next((path for name in _NAMES if (path := shutil.which(name))), None)
    driver = shutil.which("chromedriver")
    return (found, driver) if found and driver else None


@contextmanager
def headless() -> Iterator[Any]:
    """A browser that keeps the log of its console; FileNotFoundError if there is none."""
    from selenium import webdriver

    paths = programs()
    if paths is None:
        raise FileNotFoundError("no Chromium and ChromeDriver found to open the pages")
    options = webdriver.ChromeOptions()
    options.binary_location = paths[0]
    for flag in _FLAGS.split():
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(paths[1]))
    try:
        yield browser
    finally:
        browser.quit()


@contextmanager
def served(folder: Path, handler: type[Quiet] = Quiet) -> Iterator[str]:
    """The address of a folder, served as long as the block lasts."""
    bound = functools.partial(handler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), bound) as server:
        # A browser that moves on breaks off what it was loading; that is no error.
        server.handle_error = lambda *_: None  # type: ignore[method-assign]
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
