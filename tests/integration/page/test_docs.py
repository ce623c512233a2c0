"""The page at GET /docs, in headless Chromium: `open_page` sees to it that nothing is asked of anybody else."""

import pytest
from playwright.sync_api import expect

from tests.integration.page.conftest import OpenPage


@pytest.mark.parametrize("prefix", ["", "/photos"])
def test_the_routes_are_shown_with_what_this_server_has_on_its_disk(open_page: OpenPage, prefix: str) -> None:
    page = open_page(f"{prefix}/docs")
    expect(page.get_by_role("link", name="/api/v1/predict", exact=True)).to_be_visible()
