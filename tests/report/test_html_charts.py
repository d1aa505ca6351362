"""The page of a report with series: its charts, its policy, its size."""

import base64
import hashlib
import json
import re
import time
from dataclasses import replace
from html.parser import HTMLParser
from importlib import resources

import pytest

from poolsleuth.model.report import Report
from poolsleuth.report import html as html_module
from poolsleuth.report.chart_script import plotter
from poolsleuth.report.html import BUDGET, render_html

PACKAGE = resources.files("poolsleuth.report")


class Page(HTMLParser):
    """The elements of a page, and the text of its styles and scripts by their type."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.data: list[str] = []
        self.styles: list[str] = []
        self._into: list[str] | None = None
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        self.elements.append((tag, attributes))
        if tag in ("script", "style"):
            self._into = self.styles if tag == "style" else self.data if attributes.get("type") else self.scripts
            self._into.append("")

    def handle_endtag(self, tag: str) -> None:
        if tag in ("script", "style"):
            self._into = None

    def handle_data(self, data: str) -> None:
        if self._into is not None:
            self._into[-1] += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    def policy(self) -> str:
        (content,) = (m["content"] for m in self.all("meta") if m.get("http-equiv") == "Content-Security-Policy")
        assert content is not None
        return content


def allowed(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def test_the_policy_allows_the_three_scripts_and_the_style_and_nothing_else(charted_report: Report) -> None:
    page = Page(render_html(charted_report))
    assert len(page.scripts) == 3
    assert len(page.styles) == 1
    scripts = " ".join(map(allowed, page.scripts))
    assert page.policy() == (
        f"default-src 'none'; style-src {allowed(page.styles[0])}; script-src {scripts}; "
        "base-uri 'none'; form-action 'none'"
    )
    found = plotter()
    assert found is not None
    assert page.scripts[0] == found.script
    assert [json.loads(text)["unit"] for text in page.data] == ["bytes", "bytes", "count", "per second", "percent"]


def test_the_page_asks_nobody_and_acts_on_nothing(charted_report: Report, evil_chart_report: Report) -> None:
    for report in (charted_report, evil_chart_report):
        html = render_html(report)
        page = Page(html)
        assert len(page.scripts) == 3
        tags = {tag for tag, _ in page.elements}
        assert not tags & {"img", "link", "iframe", "object", "embed", "base", "form", "use", "image", "a:href"}
        for _, attributes in page.elements:
            assert "src" not in attributes
            assert "style" not in attributes  # the policy would refuse it
            assert (attributes.get("href") or "#").startswith("#")
            assert not [name for name in attributes if name.startswith("on")]
        assert not any(mark in page.styles[0] for mark in ("url(", "@import"))
        body = html.partition("<main")[2].partition("</main>")[0]
        assert not [c for c in body if c != "\n" and not c.isprintable()]
        ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
        assert len(ids) == len(set(ids))
        assert {a["aria-labelledby"] for _, a in page.elements if "aria-labelledby" in a} <= set(ids)


def test_a_page_without_series_knows_nothing_of_charts(full_report: Report) -> None:
    html = render_html(full_report)
    page = Page(html)
    assert page.styles == [PACKAGE.joinpath("templates", "report.css").read_text(encoding="utf-8")]
    assert page.scripts == [PACKAGE.joinpath("templates", "report.js").read_text(encoding="utf-8")]
    assert "uplot" not in html.lower()
    assert "chart" not in html
    assert len(html.encode()) < 40_000


def test_series_without_a_figure_bring_no_script(full_report: Report, charted_report: Report) -> None:
    empty = replace(charted_report.machines[0].series[0], values=(None,), seconds=(0.0,))
    html = render_html(replace(full_report, machines=(replace(full_report.machines[0], series=(empty,)),)))
    assert html == render_html(full_report)


def test_without_the_package_the_charts_are_pictures(charted_report: Report, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(html_module, "plotter", lambda: None)
    html = render_html(charted_report)
    page = Page(html)
    assert len(page.scripts) == 1
    assert page.data == []
    assert "uplot" not in html.lower()
    assert sum(svg.get("class") == "plot" for svg in page.all("svg")) == 5
    assert allowed(page.styles[0]) in page.policy()
    assert "Grows by 362.5 KB per hour" in html
    assert len(html.encode()) < 120_000


def test_sixty_series_of_100_000_samples_fit(long_series_report: Report) -> None:
    began = time.perf_counter()
    html = render_html(long_series_report)
    assert time.perf_counter() - began < 20
    assert len(html.encode()) <= BUDGET
    page = Page(html)
    lines = [line for text in page.data for line in json.loads(text)["lines"]]
    assert len(lines) == 60
    assert all(100 < len(line["v"]) <= 400 for line in lines)
    assert "left out of this page to keep it small" not in html


def test_500_machines_with_series_fit(huge_chart_report: Report) -> None:
    html = render_html(huge_chart_report)
    assert len(html.encode()) <= BUDGET
    page = Page(html)
    shown = len(page.all("article"))
    assert shown >= 10
    assert sum(svg.get("class") == "plot" for svg in page.all("svg")) >= shown
    assert "more series over time are left out of this page to keep it small; the JSON report holds them" in html


def test_where_figures_are_many_and_room_is_little_the_charts_are_pictures_or_left_out(
    huge_chart_report: Report, monkeypatch: pytest.MonkeyPatch
) -> None:
    live = {}
    for budget in (200_000, 60_000):
        monkeypatch.setattr(html_module, "BUDGET", budget)
        html = render_html(huge_chart_report)
        assert len(html.encode()) <= budget
        live[budget] = (len(Page(html).scripts), 'class="plot"' in html)
    assert live[60_000][0] == 1
    assert any(scripts == 1 and pictures for scripts, pictures in live.values())


def test_a_hostile_report_of_endless_series_is_cut(evil_chart_report: Report) -> None:
    machine = evil_chart_report.machines[0]
    report = replace(evil_chart_report, machines=(replace(machine, series=machine.series * 2000),) * 20)
    began = time.perf_counter()
    html = render_html(report)
    assert time.perf_counter() - began < 20
    assert len(html.encode()) <= BUDGET
    assert re.search(r"2\d,\d{3} more series over time", html)
