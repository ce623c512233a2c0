"""The page at GET /, in headless Chromium."""

import base64
import re
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import FilePayload, Page, expect

from tests.integration.page.conftest import OpenPage
from tests.integration.server.conftest import Start
from tests.integration.server.https_server import send, serve_https
from tests.integration.server.process import WAIT_SECONDS, Server
from tests.tiny_model import COLOURS, build_model, encode, make_image

RED = FilePayload(name="a red 'one'.png", mimeType="image/png", buffer=make_image("red"))
TEXT = FilePayload(name="notes.txt", mimeType="text/plain", buffer=b"hello")
KEY = "öffne-4711"
PHONE = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True}

MAKE_TRANSFER = """content => {
  const bytes = Uint8Array.from(atob(content), (one) => one.charCodeAt(0));
  const transfer = new DataTransfer();
  transfer.items.add(new File([bytes], "photo.png", {type: "image/png"}));
  return transfer;
}"""


def choose(page: Page, file: FilePayload = RED) -> None:
    page.get_by_label("Choose an image").set_input_files(file)


def expect_best(page: Page, label: str) -> None:
    expect(page.get_by_role("status")).to_contain_text(re.compile(rf"^{label}, \d+\.\d percent$"))
    expect(page.get_by_role("list", name="Best classes").get_by_role("listitem").first).to_contain_text(label)


def expect_no_barrier(page: Page) -> None:
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()


def test_a_chosen_image_is_shown_with_its_classes_times_and_model(open_page: OpenPage, server: Server) -> None:
    page = open_page()
    expect(page.get_by_role("heading", level=1)).to_have_text("colours")
    expect(page.locator("#model")).to_contain_text("Version 1")
    choose(page)
    expect_best(page, "red")
    bars = page.get_by_role("list", name="Best classes").get_by_role("listitem")
    assert [text.split() for text in bars.all_inner_texts()] == [
        ["red", "100.0", "%"],
        ["green", "0.0", "%"],
        ["blue", "0.0", "%"],
    ]
    widths = page.locator("#bars .bar").evaluate_all("bars => bars.map((bar) => bar.getBoundingClientRect().width)")
    full = page.locator("#bars li").first.bounding_box()
    assert full is not None
    assert widths[0] == pytest.approx(full["width"], rel=0.01)
    assert widths[1] < 1
    assert page.locator("#photo").evaluate("photo => photo.naturalWidth") > 0
    facts = page.locator("#facts").inner_text()
    request = server.wait_for_request(path="/api/v1/predict")
    assert request["request_id"] in facts
    with server.client() as client:
        assert client.get("/api/v1/health").json()["model"]["sha256"] in facts
    assert "ms to decode" in facts


@pytest.mark.parametrize("event", ["drop", "paste"])
def test_an_image_is_dropped_or_pasted(open_page: OpenPage, event: str) -> None:
    page = open_page()
    transfer = page.evaluate_handle(MAKE_TRANSFER, base64.b64encode(make_image("blue")).decode())
    if event == "drop":
        page.dispatch_event("#drop", "drop", {"dataTransfer": transfer})
    else:
        page.evaluate("data => document.dispatchEvent(new ClipboardEvent('paste', {clipboardData: data}))", transfer)
    expect_best(page, "blue")


def test_a_phone_takes_a_photo_and_nothing_is_cut_off(open_page: OpenPage) -> None:
    page = open_page(**PHONE)
    take = page.get_by_label("Take a photo")
    assert take.get_attribute("capture") == "environment"
    take.set_input_files(RED)
    expect_best(page, "red")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_a_refusal_says_why(open_page: OpenPage) -> None:
    page = open_page()
    choose(page, TEXT)
    expect(page.get_by_role("alert")).to_have_text("This is not an image: the bytes are not those of one")
    expect(page.locator("#bars li")).to_have_count(0)
    expect(page.locator("#photo")).to_be_hidden()
    choose(page)
    expect_best(page, "red")
    expect(page.get_by_role("alert")).to_be_empty()


def test_a_server_that_is_gone_is_said_to_be(open_page: OpenPage) -> None:
    page = open_page()
    page.route("**/predict", lambda route: route.abort())
    choose(page)
    expect(page.get_by_role("alert")).to_contain_text("can't be reached")


def test_the_calls_work_as_they_stand(open_page: OpenPage, tmp_path: Path) -> None:
    page = open_page()
    choose(page)
    expect_best(page, "red")
    (tmp_path / RED["name"]).write_bytes(RED["buffer"])
    code = page.locator("#code")
    page.get_by_role("tab", name="curl").click()
    page.get_by_role("button", name="Copy").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    copied = page.evaluate("navigator.clipboard.readText()")
    curl = subprocess.run(
        ["bash", "-c", f"{copied} --silent"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert '"label":"red"' in curl.stdout
    page.get_by_role("tab", name="Python").click()
    python = code.inner_text().replace("import httpx\n", "import httpx2 as httpx\n")
    ran = subprocess.run([sys.executable, "-c", python], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert ran.stdout.startswith("red 0.99")
    page.get_by_role("tab", name="JavaScript").click()
    said = page.evaluate(
        "async ([code, content]) => { const said = []; const console = {log: (...words) => said.push(words)};"
        " const file = new Blob([Uint8Array.from(atob(content), (one) => one.charCodeAt(0))]);"
        " await eval(`(async () => {${code}})()`); return said; }",
        [code.inner_text(), base64.b64encode(RED["buffer"]).decode()],
    )
    assert said[0][0] == "red"


def test_recent_images_are_kept_in_the_page(open_page: OpenPage) -> None:
    page = open_page()
    for colour in ("red", "green"):
        choose(page, FilePayload(name=f"{colour}.png", mimeType="image/png", buffer=make_image(colour)))
        expect_best(page, colour)
    recent = page.get_by_role("list", name="Recent").get_by_role("button")
    expect(recent).to_have_text(["green", "red"])
    recent.last.focus()
    page.keyboard.press("Enter")
    expect_best(page, "red")
    expect(page.get_by_role("heading", name="red.png")).to_be_visible()
    expect(page.locator("#code")).to_contain_text("@red.png")
    page.reload()
    expect(recent).to_have_count(0)


def test_the_keyboard_reaches_everything(open_page: OpenPage) -> None:
    page = open_page()
    reached = []
    for _ in range(5):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.id"))
    assert reached == ["choose", "take", "tab-curl", "copy", "code"]
    page.get_by_role("tab", name="curl").focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("tab", name="Python")).to_be_focused()
    expect(page.get_by_role("tab", name="Python")).to_have_attribute("aria-selected", "true")
    expect(page.locator("#code")).to_contain_text("import httpx")


def test_a_server_with_keys_asks_for_one_and_then_shows_model_and_answer(
    open_page: OpenPage, start: Start, tmp_path: Path
) -> None:
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys/one").write_text(KEY)
    page = open_page(of=start(f"--api-keys={tmp_path / 'keys'}").wait_until_ready())
    expect(page.locator("#model")).to_contain_text("API key")
    key = page.get_by_label("This server asks for an API key")
    expect(key).to_be_hidden()
    choose(page)
    expect(key).to_be_focused()
    expect(page.locator("#refused")).to_be_empty()
    key.fill("not this one")
    key.press("Enter")
    expect(page.get_by_role("alert").and_(page.locator("#refused"))).to_have_text("The server doesn't know this key.")
    expect(key).to_be_focused()
    expect_no_barrier(page)
    key.fill(KEY)
    page.get_by_role("button", name="Use it").click()
    expect_best(page, "red")
    expect(key).to_be_hidden()
    expect(page.get_by_role("heading", level=1)).to_have_text("colours")
    expect(page.locator("#model")).to_contain_text("Version 1")
    expect(page.locator("#code")).to_contain_text('curl -H "X-API-Key: $API_KEY"')
    expect_no_barrier(page)


def test_a_page_that_was_opened_while_the_model_loads_tells_it_later(
    open_page: OpenPage, start: Start, tmp_path: Path
) -> None:
    release = threading.Event()

    def send_later(handler: BaseHTTPRequestHandler) -> None:
        release.wait(WAIT_SECONDS)
        send(build_model())(handler)

    with serve_https(tmp_path) as elsewhere:
        elsewhere.answers["/model.onnx"] = send_later
        model = {"uri": f"{elsewhere.url}/model.onnx", "labels": {"inline": COLOURS}}
        server = start(model=model, environment={"CLASSIFIER_CA_FILE": str(elsewhere.ca_file)})
        server.wait_for('"event": "listening"')
        page = open_page(of=server)
        expect(page.locator("#model")).to_have_text("The model is being loaded.")
        release.set()
        expect(page.get_by_role("heading", level=1)).to_have_text("colours", timeout=WAIT_SECONDS * 1000)


def test_an_image_without_a_class_over_the_threshold_says_so(open_page: OpenPage, start: Start, tmp_path: Path) -> None:
    model = {"uri": f"file:{tmp_path / 'model.onnx'}", "labels": {"inline": COLOURS}, "threshold": 0.6}
    page = open_page(of=start(model={**model, "scores": "sigmoid"}).wait_until_ready())
    choose(page, FilePayload(name="black.png", mimeType="image/png", buffer=encode(Image.new("RGB", (16, 16)))))
    expect(page.locator("#result").get_by_text("No class scores over the threshold")).to_be_visible()
    expect(page.get_by_role("status")).to_have_text("No class scores over the threshold")
    expect(page.get_by_role("list", name="Recent").get_by_role("button")).to_have_text(["no class"])
    choose(page)
    expect_best(page, "red")
    expect(page.get_by_text("No class scores over the threshold")).to_have_count(1)


def test_the_page_may_load_nothing_and_ask_its_own_server_alone(server: Server) -> None:
    with server.client() as client:
        headers = client.get("/").headers
    policy = dict(part.split(" ", 1) for part in headers["Content-Security-Policy"].split("; "))
    hashed = [policy.pop(f"{kind}-src") for kind in ("script", "style")]
    assert policy == {
        "default-src": "'none'",
        "img-src": "blob: data:",
        "connect-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    assert all(re.fullmatch(r"'sha256-[\w+/]{43}='", one) for one in hashed)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_amiss(open_page: OpenPage, scheme: str) -> None:
    page = open_page(color_scheme=scheme)
    choose(page)
    expect_best(page, "red")
    expect_no_barrier(page)


def test_behind_a_prefix_the_page_asks_below_it(open_page: OpenPage) -> None:
    page = open_page("/photos")
    choose(page)
    expect_best(page, "red")
    expect(page.locator("#code")).to_contain_text("/photos/api/v1/predict")
    assert page.request.get(page.get_by_role("link", name="API").evaluate("link => link.href")).ok
