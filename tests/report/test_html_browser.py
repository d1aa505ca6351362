"""The HTML page as a browser runs it: it must work, ask for nothing, and let nothing of a report act."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Dialog, Page, sync_playwright

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


@dataclass
class Opened:
    """A page and everything that it should not have done."""

    page: Page
    address: str
    complaints: list[str] = field(default_factory=list)

    def texts(self, selector: str) -> list[str]:
        return self.page.locator(selector).all_inner_texts()

    def refuse(self, dialog: Dialog) -> None:
        self.complaints.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def watch(self) -> None:
        self.page.on("console", lambda message: self.complaints.append(f"console: {message.text}"))
        self.page.on("pageerror", lambda error: self.complaints.append(f"error: {error}"))
        self.page.on("dialog", self.refuse)
        self.page.on(
            "request",
            lambda request: None if request.url == self.address else self.complaints.append(f"asked for {request.url}"),
        )


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield started
        started.close()


def opened(browser: Browser, report: Report, folder: Path, *, width: int = 1280, scheme: str = "light") -> Opened:
    file = folder / "report.html"
    file.write_text(render_html(report), encoding="utf-8")
    context = browser.new_context(
        viewport={"width": width, "height": 800}, color_scheme="dark" if scheme == "dark" else "light"
    )
    context.set_default_timeout(10_000)
    it = Opened(context.new_page(), file.as_uri())
    it.watch()
    it.page.goto(it.address)
    return it


def open_everything(page: Page) -> int:
    """Click every closed part open, the outer before the inner."""
    clicks = 0
    while page.locator("details:not([open]) > summary:visible").count():
        page.locator("details:not([open]) > summary:visible").first.click()
        clicks += 1
    return clicks


@pytest.mark.parametrize("name", ["full_report", "healthy_report", "hostile_report", "several_report"])
@pytest.mark.parametrize("width", [1280, 360])
def test_every_part_opens_and_nothing_else_happens(
    browser: Browser, request: pytest.FixtureRequest, tmp_path: Path, name: str, width: int
) -> None:
    it = opened(browser, request.getfixturevalue(name), tmp_path, width=width)
    assert open_everything(it.page) > 0
    assert it.page.locator("details:not([open])").count() == 0
    for box in it.page.locator(".filter input").all():
        box.fill("zzz")
        box.fill("")
    assert it.page.evaluate("document.documentElement.scrollWidth") <= width
    assert it.complaints == []


def test_a_click_closes_again(browser: Browser, full_report: Report, tmp_path: Path) -> None:
    it = opened(browser, full_report, tmp_path)
    open_everything(it.page)
    for summary in reversed(it.page.locator("details > summary").all()):
        summary.click()
    assert it.page.locator("details[open]").count() == 0


def column(it: Opened, index: int) -> list[str]:
    return it.texts(f".tags .sortable tbody tr td:nth-child({index + 1})")


def key(text: str, numeric: bool) -> float | str:
    return float(text.replace(",", "")) if numeric else text.lower()


def test_each_header_sorts_both_ways_and_says_so(browser: Browser, full_report: Report, tmp_path: Path) -> None:
    it = opened(browser, full_report, tmp_path)
    headers = it.page.locator(".tags .sortable thead th")
    sortable = 0
    for index in range(headers.count()):
        header = headers.nth(index)
        kind = header.get_attribute("data-kind")
        if kind is None:
            continue
        sortable += 1
        states = []
        for _ in range(2):
            header.locator("button").click()
            state = header.get_attribute("aria-sort")
            states.append(state)
            texts = [text.strip() for text in column(it, index)]
            known = [text for text in texts if text not in ("", "?")]
            assert texts[: len(known)] == known  # what is not known stands last, whichever way
            keys = [key(text, kind == "number") for text in known]
            assert keys == sorted(keys, reverse=state == "descending")
            assert it.page.locator("th[aria-sort=ascending], th[aria-sort=descending]").count() == 1
        assert states == (["descending", "ascending"] if kind == "number" else ["ascending", "descending"])
    assert sortable == 9
    assert it.complaints == []


def test_the_keyboard_sorts_too(browser: Browser, full_report: Report, tmp_path: Path) -> None:
    it = opened(browser, full_report, tmp_path)
    it.page.locator(".sortable th button").first.focus()
    it.page.keyboard.press("Enter")
    assert it.page.locator(".sortable th").first.get_attribute("aria-sort") == "ascending"


def test_the_drivers_are_folded_and_sort_by_their_own_columns(
    browser: Browser, full_report: Report, tmp_path: Path
) -> None:
    it = opened(browser, full_report, tmp_path)
    drivers = it.page.locator("details:has(> summary:has-text('Drivers'))")
    size = drivers.get_by_role("button", name="Size")
    assert not size.is_visible()
    drivers.locator("> summary").click()
    names = drivers.locator("tbody td:first-child")
    assert names.all_inner_texts() == ["guid.sys", "dxg.sys", "srv.sys", "ntkrnlpa.exe"]
    size.click()
    assert names.all_inner_texts() == ["ntkrnlpa.exe", "srv.sys", "guid.sys", "dxg.sys"]
    assert it.complaints == []


def test_typing_filters_by_words(browser: Browser, full_report: Report, tmp_path: Path) -> None:
    it = opened(browser, full_report, tmp_path)
    box = it.page.get_by_label("Filter")
    box.press_sequentially("exallocate none")
    assert it.texts(".sortable tbody tr:visible td:first-child") == ["None"]
    assert it.texts(".filter output") == ["1 of 60 rows"]
    box.fill("50,827,424")  # a figure is no word
    assert it.texts(".filter output") == ["0 of 60 rows"]
    box.fill("")
    assert it.texts(".filter output") == ["60 rows"]
    assert it.complaints == []


@pytest.mark.parametrize("allowed", [True, False])
def test_a_copy_button_copies_the_command(browser: Browser, full_report: Report, tmp_path: Path, allowed: bool) -> None:
    it = opened(browser, full_report, tmp_path)
    if allowed:
        it.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    else:  # as in a browser that keeps the clipboard from a page out of a file
        it.page.evaluate("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    command = "!for_each_module s-d @#Base @#End nt!ExAllocatePool"
    button = it.page.get_by_label(f"Copy command: {command}")
    button.click()
    it.page.wait_for_function(
        "text => [...document.querySelectorAll('.copy')].some(b => b.textContent === text)", arg="Copied"
    )
    if allowed:
        assert it.page.evaluate("navigator.clipboard.readText()") == command
    else:
        assert it.page.evaluate("getSelection().toString()") == command
    assert it.complaints == []


def test_the_largest_pages_work(
    browser: Browser, huge_report: Report, many_tags_report: Report, tmp_path: Path
) -> None:
    for report in (huge_report, many_tags_report):
        it = opened(browser, report, tmp_path)
        it.page.locator(".sortable th button").first.click()
        it.page.locator(".filter input").first.fill("made")
        assert it.page.locator(".sortable tbody tr:visible").count() > 0
        assert it.complaints == []


def test_navigation_leads_to_each_machine(browser: Browser, several_report: Report, tmp_path: Path) -> None:
    it = opened(browser, several_report, tmp_path)
    for number in (3, 1, 2):
        it.page.locator(f"nav a[href='#m{number}']").click()
        assert it.page.locator(f"#m{number}-name").is_visible()
        assert it.page.evaluate("location.hash") == f"#m{number}"


def luminance(colour: str) -> float:
    channels = [int(part) / 255 for part in colour.partition("(")[2].rstrip(")").split(",")[:3]]
    red, green, blue = (c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read_on_its_ground(browser: Browser, full_report: Report, tmp_path: Path, scheme: str) -> None:
    it = opened(browser, full_report, tmp_path, scheme=scheme)
    open_everything(it.page)
    pairs = it.page.evaluate(
        """() => [...document.querySelectorAll("main *")].filter(e => [...e.childNodes].some(
              n => n.nodeType === 3 && n.textContent.trim())).map(e => {
            let ground = e;
            const clear = "rgba(0, 0, 0, 0)";
            while (ground && getComputedStyle(ground).backgroundColor === clear) ground = ground.parentElement;
            return [getComputedStyle(e).color, getComputedStyle(ground || document.body).backgroundColor, e.className];
        })"""
    )
    assert len(pairs) > 100
    for ink, ground, name in pairs:
        bright, dark = sorted((luminance(ink), luminance(ground)), reverse=True)
        assert (bright + 0.05) / (dark + 0.05) >= 4.5, (name, ink, ground)


def test_paper_shows_what_was_closed(browser: Browser, full_report: Report, tmp_path: Path) -> None:
    it = opened(browser, full_report, tmp_path)
    closed = it.page.locator("details:not([open])").count()
    assert closed > 0
    it.page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert it.page.locator("details:not([open])").count() == 0
    it.page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert it.page.locator("details:not([open])").count() == closed
    assert it.page.pdf().startswith(b"%PDF")
