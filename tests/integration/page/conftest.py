"""A browser, and pages of a server of its own."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright

from tests.browser import find_chromium
from tests.integration.server.conftest import start  # noqa: F401 - a fixture
from tests.integration.server.process import WAIT_SECONDS, Server
from tests.tiny_model import write_document

OpenPage = Callable[..., Page]

expect.set_options(timeout=WAIT_SECONDS * 1000)
"""Milliseconds: machines that run tests may do much else."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    document = write_document(tmp_path_factory.mktemp("page"), limits={"bytes": "1Mi"})
    server = Server(document, CLASSIFIER_ROOT_PATH="/photos").wait_until_ready()
    yield server
    server.kill()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser: Browser, server: Server, tmp_path: Path) -> Iterator[OpenPage]:
    """Open the page, of another server where one is named, in a context with these options.

    It must ask nobody but its own server, and have nothing to complain of but refusals.
    """
    complaints: list[str] = []
    asked: list[tuple[str, str]] = []

    def note(message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"} and "Failed to load resource" not in message.text:
            complaints.append(message.text)

    def open_one(path: str = "/", of: Server = server, **options: object) -> Page:
        page = browser.new_context(permissions=["clipboard-read", "clipboard-write"], **options).new_page()  # type: ignore[arg-type]
        page.on("console", note)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: asked.append((of.url, request.url)))
        page.goto(of.url + path)
        return page

    yield open_one
    for context in browser.contexts:
        context.close()
    assert complaints == []
    assert [url for own, url in asked if not url.startswith((f"{own}/", "blob:", "data:"))] == []
