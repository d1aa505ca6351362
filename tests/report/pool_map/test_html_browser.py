"""The map as a browser runs it: it zooms, tells what lies under the pointer, hides, finds, and obeys its policy."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Dialog, Page, sync_playwright

from poolsleuth.model.pool_picture import PoolPicture
from poolsleuth.report.pool_map.html import render_html

from .conftest import MakePicture, MakePool

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"]

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(
        CHROMIUM is None, reason="no Chromium: neither chromium, chromium-browser nor google-chrome is installed"
    ),
]

# How many pixels of the canvas have (nearly) a colour
COUNT = """(colour) => {
  const canvas = document.getElementById("map");
  const wanted = [1, 3, 5].map((i) => parseInt(colour.slice(i, i + 2), 16));
  const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d", { willReadFrequently: true });
  copy.drawImage(canvas, 0, 0);
  const { data } = copy.getImageData(0, 0, canvas.width, canvas.height);
  let count = 0;
  for (let i = 0; i < data.length; i += 4) {
    if (wanted.every((part, at) => Math.abs(part - data[i + at]) < 6)) count += 1;
  }
  return count;
}"""
RED, BLUE, GREEN = "#e5484d", "#3e86d8", "#3fae6a"
FRAME = "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"


class Opened:
    """An opened map and everything that it should not have done."""

    def __init__(self, page: Page, address: str) -> None:
        self.page = page
        self.complaints: list[str] = []
        page.on("console", lambda message: self.complaints.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: self.complaints.append(f"error: {error}"))
        page.on("dialog", self.refuse)
        page.on(
            "request",
            lambda request: (
                None if request.url.split("#")[0] == address else self.complaints.append(f"asked for {request.url}")
            ),
        )
        page.goto(address)
        page.locator("#map[data-ready]").wait_for()
        self.settle()

    def refuse(self, dialog: Dialog) -> None:
        self.complaints.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def settle(self) -> None:
        self.page.evaluate(FRAME)

    def pixels(self, colour: str) -> int:
        self.settle()
        counted = self.page.evaluate(COUNT, colour)
        assert isinstance(counted, int)
        return counted

    def told(self) -> dict[str, list[str]]:
        """What the panel says: of each name the values, from top to bottom."""
        self.settle()
        found: dict[str, list[str]] = {}
        names, values = self.page.locator("#told dt").all_inner_texts(), self.page.locator("#told dd").all_inner_texts()
        for name, value in zip(names, values, strict=True):
            found.setdefault(name, []).append(value)
        return found

    def point(self, across: float, down: float) -> None:
        """Move the pointer to a share of the map's width and height."""
        box = self.page.locator("#map").bounding_box()
        assert box is not None
        self.page.mouse.move(box["x"] + 74 + (box["width"] - 74) * across, box["y"] + box["height"] * down)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield started
        started.close()


def opened(browser: Browser, picture: PoolPicture, folder: Path, *, width: int = 1280, dark: bool = False) -> Opened:
    file = folder / "map.html"
    file.write_text(render_html(picture), encoding="utf-8")
    context = browser.new_context(
        viewport={"width": width, "height": 800}, color_scheme="dark" if dark else "light", offline=True
    )
    context.set_default_timeout(10_000)
    return Opened(context.new_page(), file.as_uri())


@pytest.mark.parametrize("dark", [False, True])
def test_the_whole_pool_is_shown(
    dark: bool, browser: Browser, tmp_path: Path, make_pool: MakePool, make_picture: MakePicture
) -> None:
    picture = make_picture(make_pool((0x82780000, "o" * 1280 + "W" * 1280 + "." * 640 + "O" * 640)))
    with_map = opened(browser, picture, tmp_path, dark=dark)
    red, blue, green = map(with_map.pixels, (RED, BLUE, GREEN))
    assert min(red, blue, green) > 5_000
    assert 0.7 < red / blue < 1.3  # as many pages
    assert 1.5 < blue / green < 2.6  # twice as many
    assert with_map.complaints == []


def test_from_the_pool_to_a_block(
    browser: Browser, tmp_path: Path, make_pool: MakePool, make_picture: MakePicture
) -> None:
    opening = opened(browser, make_picture(make_pool((0x82780000, ".." + "o" * 30))), tmp_path)
    page = opening.page
    page.locator("#go").fill("82783abc")
    page.keyboard.press("Enter")
    assert opening.told()["Page"] == ["82783000"]
    assert opening.told()["Live"] == ["128 bytes (3.1 %)"]
    # The page fills the map: its first line is 256 bytes, half of it a block in use
    box = page.locator("#map").bounding_box()
    assert box is not None
    size = box["height"] * 0.97
    left = box["x"] + 74 + (box["width"] - 74 - size) / 2
    top = box["y"] + (box["height"] - size) / 2
    page.mouse.move(left + size * 0.25, top + size / 32)
    told = opening.told()
    assert (told["Block"], told["Tag"], told["State"][1]) == (["82783000"], ["Leak"], "allocated")
    assert told["Size"] == ["128 bytes"]
    page.mouse.move(left + size * 0.75, top + size / 32)
    told = opening.told()
    assert (told["Block"], told["State"][1]) == (["82783080"], "free (the tag is its last one)")
    assert told["Size"] == ["3.9 KB (3,968 bytes)"]
    page.keyboard.press("0")
    assert opening.complaints == []


def test_wheel_drag_and_keys_move_the_map(
    browser: Browser, tmp_path: Path, make_pool: MakePool, make_picture: MakePicture
) -> None:
    opening = opened(browser, make_picture(make_pool((0x82780000, "oOW." * 64))), tmp_path)
    page = opening.page
    begin = page.locator("#scale").inner_text()
    opening.point(0.5, 0.5)
    for _ in range(6):
        page.mouse.wheel(0, -400)
    opening.settle()
    near = page.locator("#scale").inner_text()
    assert near != begin
    told = opening.told()["Page"]
    page.mouse.down()
    opening.point(0.7, 0.7)
    page.mouse.up()
    # What was under the pointer moved with it
    assert opening.told()["Page"] == told
    page.focus("#map")
    page.keyboard.press("0")
    opening.settle()
    assert page.locator("#scale").inner_text() == begin
    page.mouse.move(5, 5)
    page.keyboard.press("n")
    assert opening.told()["State"] == ["pinned: a tenth or less is live"]
    first = opening.told()["Page"]
    page.keyboard.press("n")
    assert int(opening.told()["Page"][0], 16) == int(first[0], 16) + 4 * 4096
    page.keyboard.press("ArrowRight")
    assert int(opening.told()["Page"][0], 16) == int(first[0], 16) + 5 * 4096
    page.keyboard.press("+")
    page.keyboard.press("Enter")
    opening.settle()
    assert page.locator("#scale").inner_text() != begin
    assert opening.complaints == []


def test_the_legend_switches_off_and_on(
    browser: Browser, tmp_path: Path, make_pool: MakePool, make_picture: MakePicture
) -> None:
    tags = [0] * 1000 + [1] * 1000
    picture = make_picture(make_pool((0x82780000, "O" * 2000), tags=tags), tags=("Leak", "File"))
    opening = opened(browser, picture, tmp_path)
    page = opening.page
    page.select_option("#by", "tag")
    assert page.locator("#legend button").all_inner_texts() == ["Leak\n1,000", "File\n1,000"]
    both = opening.pixels(RED), opening.pixels(BLUE)
    assert min(both) > 5_000
    page.locator("#legend button").first.click()
    assert opening.pixels(RED) < both[0] / 20
    assert opening.pixels(BLUE) > both[1] * 0.9
    assert page.locator("#legend button").first.get_attribute("aria-pressed") == "false"
    page.locator("#legend button").first.click()
    assert opening.pixels(RED) > both[0] * 0.9
    page.locator("#legend button").first.click(modifiers=["Shift"])
    assert opening.pixels(BLUE) < both[1] / 20
    page.locator("#legend button").first.click(modifiers=["Shift"])
    page.locator("#find").fill("File")
    assert opening.pixels(RED) < both[0] / 20
    page.locator("#find").fill("Fil")
    assert page.locator("#find").get_attribute("aria-invalid") == "true"
    assert opening.complaints == []


def test_every_pool_has_its_tab(
    browser: Browser, tmp_path: Path, make_pool: MakePool, make_picture: MakePicture
) -> None:
    picture = make_picture(make_pool((0x82780000, "o" * 2000)), make_pool((0xE1000000, "W" * 2000)))
    opening = opened(browser, picture, tmp_path, width=500)
    assert opening.pixels(BLUE) == 0
    opening.page.locator("#tab-1").click()
    opening.page.locator("#map[data-ready='1']").wait_for()
    assert opening.pixels(RED) == 0
    assert opening.pixels(BLUE) > 5_000
    wide = opening.page.evaluate("() => document.documentElement.scrollWidth <= window.innerWidth")
    assert wide
    assert opening.complaints == []


def test_hostile_names_are_text(
    browser: Browser, tmp_path: Path, make_pool: MakePool, make_picture: MakePicture
) -> None:
    evil = "</script><img src=x onerror=alert(1)>"
    picture = make_picture(make_pool((0x82780000, "@o<>")), tags=(evil, evil), name=evil, chosen=evil, says=(evil,))
    opening = opened(browser, picture, tmp_path)
    opening.page.select_option("#by", "tag")
    opening.page.focus("#map")
    for key in ("ArrowRight", "Enter", "ArrowRight", "ArrowRight"):
        opening.page.keyboard.press(key)
    opening.settle()
    assert opening.page.locator("img").count() == 0
    assert any(value.startswith("</script>") for value in opening.told()["Tag"])
    assert opening.complaints == []


def test_large_pools_are_usable(
    browser: Browser, tmp_path: Path, make_pool: MakePool, make_picture: MakePicture
) -> None:
    pool = make_pool((0x82780000, "oOW." * 65_536))  # 1 GB
    opening = opened(browser, make_picture(pool), tmp_path)
    took = opening.page.evaluate(
        """async () => {
          const frame = () => new Promise(requestAnimationFrame), begin = performance.now();
          for (let i = 0; i < 20; i += 1) { document.getElementById("zoom-in").click(); await frame(); }
          return (performance.now() - begin) / 20;
        }"""
    )
    assert took < 500  # milliseconds for a frame, on a machine that has other work as well
    opening.page.locator("#fit").click()
    assert "px a page" in opening.page.locator("#scale").inner_text()
    assert opening.complaints == []


def test_a_debuggers_map_offers_no_tags_and_no_pinned_pages(
    browser: Browser, tmp_path: Path, make_pool: MakePool, make_picture: MakePicture
) -> None:
    opening = opened(browser, make_picture(make_pool((0x82780000, "P." * 500)), tags=(), source="log"), tmp_path)
    assert opening.page.locator("#next-pinned").is_disabled()
    assert not opening.page.locator("#find").is_visible()
    assert opening.complaints == []
