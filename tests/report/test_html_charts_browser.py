"""The charts of the page as a browser runs them: they zoom, tell values, hide lines, and obey the page's policy."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Dialog, Locator, Page, sync_playwright

from poolsleuth.model.report import Report
from poolsleuth.report.html import render_html

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"]

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(
        CHROMIUM is None, reason="no Chromium: neither chromium, chromium-browser nor google-chrome is installed"
    ),
]

# Pixels of a canvas in a colour that a custom property of the page names.
COUNT_PIXELS = """([index, name]) => {
  const figure = document.querySelectorAll("figure.chart")[index];
  const canvas = figure.querySelector("canvas");
  const probe = document.createElement("canvas").getContext("2d");
  probe.fillStyle = getComputedStyle(figure).getPropertyValue(name).trim();
  probe.fillRect(0, 0, 1, 1);
  const [red, green, blue] = probe.getImageData(0, 0, 1, 1).data;
  // A copy is read: the page's own canvas stays as it is.
  const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d", { willReadFrequently: true });
  copy.drawImage(canvas, 0, 0);
  const { data } = copy.getImageData(0, 0, canvas.width, canvas.height);
  let count = 0;
  for (let i = 0; i < data.length; i += 4) {
    const far = Math.abs(data[i] - red) + Math.abs(data[i + 1] - green) + Math.abs(data[i + 2] - blue);
    if (far < 12 && data[i + 3] > 150) count += 1;
  }
  return count;
}"""


class Charts:
    """An opened page and everything that it should not have done."""

    def __init__(self, page: Page, address: str) -> None:
        self.page = page
        self.address = address
        self.complaints: list[str] = []
        page.on("console", lambda message: self.complaints.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: self.complaints.append(f"error: {error}"))
        page.on("dialog", self.refuse)
        page.on(
            "request",
            lambda request: None if request.url == address else self.complaints.append(f"asked for {request.url}"),
        )
        page.goto(address)

    def refuse(self, dialog: Dialog) -> None:
        self.complaints.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def figure(self, index: int = 0) -> Locator:
        """The chart, made live by scrolling to it."""
        figure = self.page.locator("figure.chart").nth(index)
        figure.scroll_into_view_if_needed()
        figure.locator(".chart-live canvas").wait_for()
        return figure

    def pixels(self, name: str, index: int = 0) -> int:
        counted = self.page.evaluate(COUNT_PIXELS, [index, name])
        assert isinstance(counted, int)
        return counted

    def drag(self, figure: Locator, begin: float, end: float) -> None:
        """Drag over the plot between two shares of its width."""
        box = figure.locator(".u-over").bounding_box()
        assert box is not None
        y = box["y"] + box["height"] / 2
        self.page.mouse.move(box["x"] + box["width"] * begin, y)
        self.page.mouse.down()
        self.page.mouse.move(box["x"] + box["width"] * end, y, steps=4)
        self.page.mouse.up()

    def hover(self, figure: Locator, at: float) -> tuple[str, list[str]]:
        """What the chart says at a share of its width: the time, and the value of each line."""
        box = figure.locator(".u-over").bounding_box()
        assert box is not None
        self.page.mouse.move(box["x"] + box["width"] * at, box["y"] + box["height"] / 2)
        self.page.evaluate("() => new Promise(requestAnimationFrame)")
        return figure.locator(".chart-clock").inner_text(), figure.locator(".chart-value").all_inner_texts()

    def ends(self, figure: Locator) -> tuple[str, str]:
        """The times at both ends of the plot."""
        return self.hover(figure, 0.001)[0], self.hover(figure, 0.999)[0]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield started
        started.close()


def opened(
    browser: Browser, report: Report, folder: Path, *, width: int = 1280, dark: bool = False, script: bool = True
) -> Charts:
    file = folder / "report.html"
    file.write_text(render_html(report), encoding="utf-8")
    context = browser.new_context(
        viewport={"width": width, "height": 800},
        color_scheme="dark" if dark else "light",
        java_script_enabled=script,
    )
    context.set_default_timeout(10_000)
    return Charts(context.new_page(), file.as_uri())


def test_every_chart_comes_to_life_when_it_is_seen(browser: Browser, charted_report: Report, tmp_path: Path) -> None:
    it = opened(browser, charted_report, tmp_path)
    it.page.evaluate("scrollTo(0, 0)")
    assert it.page.locator("figure.live").count() < 3  # what is out of sight waits
    it.page.locator(".charts summary").click()
    for index in range(5):
        figure = it.figure(index)
        assert figure.locator(".plot").is_hidden()
        assert it.pixels("--k1", index) > 200
    assert it.complaints == []


def test_a_drag_zooms_and_a_double_click_shows_everything(
    browser: Browser, charted_report: Report, tmp_path: Path
) -> None:
    it = opened(browser, charted_report, tmp_path)
    figure = it.figure()
    before = it.ends(figure)
    assert before[0].startswith("2008-03-22 06:")
    assert before[1].startswith("2008-03-27 15:")  # the limit is met at 12:00; a little room is left beyond
    it.drag(figure, 0.25, 0.5)
    begin, end = it.ends(figure)
    assert begin.startswith("2008-03-23 ")
    assert end.startswith("2008-03-24 ")
    assert figure.locator(".chart-reset").is_visible()
    box = figure.locator(".u-over").bounding_box()
    assert box is not None
    it.page.mouse.dblclick(box["x"] + 100, box["y"] + 100)
    assert it.ends(figure) == before
    assert figure.locator(".chart-reset").is_hidden()
    it.drag(figure, 0.25, 0.5)
    figure.locator(".chart-reset").click()
    assert it.ends(figure) == before
    assert it.complaints == []


def test_zooming_in_stretches_the_values_too(browser: Browser, charted_report: Report, tmp_path: Path) -> None:
    it = opened(browser, charted_report, tmp_path)
    figure = it.figure(1)
    wide = it.pixels("--k2", 1)
    it.drag(figure, 0.3, 0.34)
    figure.locator(".legend button").nth(0).click()
    figure.locator(".legend button").nth(2).click()
    figure.locator(".legend button").nth(3).click()
    it.page.mouse.move(5, 5)
    it.page.wait_for_timeout(50)
    assert it.pixels("--k2", 1) > wide  # one line, over the whole height
    assert it.complaints == []


def test_hovering_tells_the_time_and_the_values(browser: Browser, charted_report: Report, tmp_path: Path) -> None:
    it = opened(browser, charted_report, tmp_path)
    figure = it.figure()
    still = figure.locator(".chart-value").all_inner_texts()
    assert figure.locator(".chart-clock").inner_text() == "Times in UTC"
    said, values = it.hover(figure, 0.2)
    assert said.startswith("2008-03-23 0")
    assert said.endswith(" UTC")
    # At 26 hours: 76 + 34 / 96 * 26 is about 87 MB, and the second pool swings between 52 and 71 MB.
    assert 80 < float(values[0].removesuffix(" MB")) < 92
    assert 50 < float(values[1].removesuffix(" MB")) < 73
    _, values = it.hover(figure, 0.44)  # where 18 samples are missing
    assert values[0] == "--"
    assert values[1] != "--"
    _, values = it.hover(figure, 0.9)  # beyond the last sample
    assert values[0].startswith("~ 12")
    assert values[1] == "--"
    it.page.mouse.move(5, 5)
    it.page.evaluate("() => new Promise(requestAnimationFrame)")
    assert figure.locator(".chart-value").all_inner_texts() == still
    assert it.complaints == []


def test_the_legend_hides_and_shows_a_line(browser: Browser, charted_report: Report, tmp_path: Path) -> None:
    it = opened(browser, charted_report, tmp_path)
    figure = it.figure()
    button = figure.get_by_role("button", name="Paged pool", exact=False).last
    both = it.pixels("--k2")
    assert both > 200
    button.focus()
    it.page.keyboard.press("Enter")
    assert button.get_attribute("aria-pressed") == "false"
    it.page.wait_for_timeout(50)
    assert it.pixels("--k2") == 0  # its limit goes with it
    assert figure.locator(".plot .k2.off").count() == 2  # and it is not printed either
    it.page.keyboard.press("Enter")
    assert button.get_attribute("aria-pressed") == "true"
    it.page.mouse.move(5, 5)
    button.blur()
    it.page.wait_for_timeout(50)
    assert it.pixels("--k2") == both
    assert it.complaints == []


def test_the_keyboard_moves_and_zooms(browser: Browser, charted_report: Report, tmp_path: Path) -> None:
    it = opened(browser, charted_report, tmp_path)
    figure = it.figure()
    clock = figure.locator(".chart-clock")
    figure.locator(".chart-live").focus()
    it.page.keyboard.press("ArrowRight")
    first = clock.inner_text()
    for _ in range(20):
        it.page.keyboard.press("ArrowRight")
    assert "2008-03-22" in first < clock.inner_text()
    it.page.keyboard.press("+")
    assert figure.locator(".chart-reset").is_visible()
    it.page.keyboard.press("-")
    it.page.keyboard.press("-")
    assert figure.locator(".chart-reset").is_hidden()
    it.page.keyboard.press("+")
    it.page.keyboard.press("Escape")
    assert figure.locator(".chart-reset").is_hidden()
    assert clock.inner_text() == "Times in UTC"
    assert it.complaints == []


def test_limit_trend_and_forecast_are_drawn(browser: Browser, charted_report: Report, tmp_path: Path) -> None:
    it = opened(browser, charted_report, tmp_path)
    it.figure()
    assert it.pixels("--ink") > 100  # the fitted growth
    forecast = """() => {
      const canvas = document.querySelector("figure.chart canvas");
      const { width, height } = canvas;
      const { data } = canvas.getContext("2d").getImageData(width * 0.8, 20, width * 0.1, height - 80);
      let ys = new Set();
      for (let i = 3; i < data.length; i += 4) if (data[i] > 200) ys.add(Math.floor(i / 4 / Math.floor(width * 0.1)));
      return ys.size;
    }"""
    assert it.page.evaluate(forecast) > 5  # something slanted, right of the last sample
    assert it.complaints == []


def test_a_far_limit_is_shown_on_demand(browser: Browser, far_report: Report, tmp_path: Path) -> None:
    it = opened(browser, far_report, tmp_path)
    figure = it.figure()
    seen = it.ends(figure)
    assert seen[1].startswith("2008-03-26 ")
    button = figure.locator(".chart-outlook")
    assert button.inner_text() == "Show forecast"
    button.click()
    begin, end = it.ends(figure)
    assert begin[:13] == seen[0][:13]
    assert "2008-04-20" < end < "2008-04-22"
    assert button.inner_text() == "Hide forecast"
    assert figure.locator(".chart-reset:not(.chart-outlook)").is_hidden()
    said, values = it.hover(figure, 0.5)
    assert said.startswith("2008-04-0")
    assert 3.5 < float(values[0].removeprefix("~ ").removesuffix(" GB")) < 4.5
    it.drag(figure, 0.5, 0.7)
    assert it.ends(figure)[0].startswith("2008-04-0")
    figure.locator(".chart-reset:not(.chart-outlook)").click()
    assert it.ends(figure) == (begin, end)
    button.click()
    assert it.ends(figure) == seen
    assert button.inner_text() == "Show forecast"
    it.page.mouse.move(5, 5)
    assert it.complaints == []


def test_without_a_far_limit_there_is_no_button(browser: Browser, charted_report: Report, tmp_path: Path) -> None:
    it = opened(browser, charted_report, tmp_path)
    assert it.figure().locator(".chart-outlook").count() == 0


def test_dark_and_light_use_their_own_colours(browser: Browser, charted_report: Report, tmp_path: Path) -> None:
    it = opened(browser, charted_report, tmp_path, dark=True)
    figure = it.figure()
    assert it.pixels("--k1") > 200
    dark = figure.evaluate("f => getComputedStyle(f).getPropertyValue('--k1')")
    it.page.emulate_media(color_scheme="light")
    it.page.wait_for_timeout(100)
    assert figure.evaluate("f => getComputedStyle(f).getPropertyValue('--k1')") != dark
    assert it.pixels("--k1") > 200  # the chart has been drawn again
    assert it.complaints == []


def test_a_narrow_page_has_nothing_beside_it_and_a_wider_one_is_used(
    browser: Browser, charted_report: Report, tmp_path: Path
) -> None:
    it = opened(browser, charted_report, tmp_path, width=360)
    figure = it.figure()
    it.page.locator(".charts summary").click()
    for index in range(5):
        it.figure(index)
    assert it.page.evaluate("document.documentElement.scrollWidth") <= 360
    narrow = figure.locator("canvas").bounding_box()
    assert narrow is not None
    it.page.set_viewport_size({"width": 1000, "height": 800})
    it.page.wait_for_timeout(150)
    wide = figure.locator("canvas").bounding_box()
    assert wide is not None
    assert 200 < narrow["width"] < 330
    assert wide["width"] > 800
    it.page.set_viewport_size({"width": 360, "height": 800})
    it.page.wait_for_timeout(150)
    assert it.page.evaluate("document.documentElement.scrollWidth") <= 360
    assert it.complaints == []


def test_a_hostile_report_draws_and_does_nothing(browser: Browser, evil_chart_report: Report, tmp_path: Path) -> None:
    it = opened(browser, evil_chart_report, tmp_path)
    it.page.locator(".charts summary").click()
    count = it.page.locator("figure.chart").count()
    assert count == 5
    for index in range(count):
        figure = it.figure(index)
        assert len(it.hover(figure, 0.5)[1]) == 1
        it.drag(figure, 0.2, 0.6)
        figure.locator(".legend button").click()
        assert "<script>alert(1)</script>" in figure.locator(".chart-name").inner_text()
    assert it.page.locator("main img, main script:not([type]), .legend svg").count() == 0
    assert it.complaints == []


@pytest.mark.parametrize("width", [1280, 360])
def test_without_scripts_the_pictures_are_there(
    browser: Browser, charted_report: Report, tmp_path: Path, width: int
) -> None:
    it = opened(browser, charted_report, tmp_path, width=width, script=False)
    picture = it.page.locator("svg.plot").first
    assert picture.is_visible()
    assert it.page.locator("canvas").count() == 0
    box = picture.bounding_box()
    assert box is not None
    assert box["width"] > width / 2
    line = it.page.locator("svg.plot path:not([class])").first.bounding_box()
    assert line is not None
    assert line["width"] > box["width"] / 2
    assert "limit 124.9 MB" in (picture.text_content() or "")
    assert it.complaints == []


def test_paper_shows_the_pictures(browser: Browser, charted_report: Report, tmp_path: Path) -> None:
    it = opened(browser, charted_report, tmp_path)
    it.figure()
    it.page.emulate_media(media="print")
    assert it.page.locator("svg.plot").first.is_visible()
    assert it.page.locator("canvas").first.is_hidden()
    assert it.page.locator(".chart-hint").first.is_hidden()
    assert it.complaints == []


def test_a_script_that_fails_leaves_the_pictures(browser: Browser, charted_report: Report, tmp_path: Path) -> None:
    it = opened(browser, charted_report, tmp_path)
    it.page.add_init_script("HTMLCanvasElement.prototype.getContext = () => { throw new Error('no canvas') };")
    it.page.reload()
    it.page.locator("figure.chart").first.scroll_into_view_if_needed()
    it.page.wait_for_timeout(200)
    assert it.page.locator("svg.plot").first.is_visible()
    assert it.page.locator("figure.live").count() == 0
    assert it.complaints == []


def test_the_largest_page_comes_to_life(browser: Browser, huge_chart_report: Report, tmp_path: Path) -> None:
    it = opened(browser, huge_chart_report, tmp_path)
    figure = it.figure(1)
    it.drag(figure, 0.2, 0.5)
    assert figure.locator(".chart-reset").is_visible()
    assert it.complaints == []
