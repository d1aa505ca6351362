import base64
import hashlib
import re
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from poolsleuth.model.report import Report, ReportInput, ReportProblem, ReportReason, SessionPoolUse
from poolsleuth.report.html import BUDGET, render_html

VOID = {"meta", "input", "br", "rect"}
IMPLIED_END = {"td"}


class Page(HTMLParser):
    """Every element of a page with its attributes, the text of each kind of element, and what is open at its end."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self.open: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID | IMPLIED_END:
            self.open.append(tag)
            self.texts.setdefault(tag, []).append("")

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID | IMPLIED_END:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        for tag in set(self.open):
            self.texts[tag][-1] += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def test_everything_of_a_report_is_on_the_page(full_report: Report) -> None:
    page = Page(render_html(full_report))
    text = " ".join(page.texts["main"][0].split())
    machine = full_report.machines[0]
    assert machine.conclusion is not None
    assert page.texts["title"] == ["Kernel pool diagnosis: FILESRV-02"]
    assert machine.conclusion.says in text
    for finding in machine.findings:
        assert finding.headline in text
        for reason in (*finding.because, *finding.against):
            assert reason.says in text
        assert all(words in text for words in finding.explains)
    for words in ("98.1 %", "122.5 MB of 124.9 MB", "1.2 MB, no known limit", "7,837 failed allocations"):
        assert words in text
    for entry in full_report.inputs:
        assert entry.name in text
        assert entry.sha256 is None or entry.sha256 in text
    assert all(problem.says in text for problem in full_report.problems)
    assert all(basis in text for basis in machine.system.basis)
    assert "!for_each_module s-d @#Base @#End nt!ExAllocatePool" in page.texts["code"]
    assert page.open == []


def test_the_verdict_comes_first(full_report: Report) -> None:
    html = render_html(full_report)
    order = [
        "guid.sys allocates memory",
        ">Pools<",
        ">Findings<",
        ">Tags<",
        ">Problems with the input</h2>",
        ">Inputs<",
    ]
    assert sorted(order, key=html.index) == order


def test_the_page_asks_nobody_for_anything(full_report: Report, hostile_report: Report) -> None:
    for report in (full_report, hostile_report):
        page = Page(render_html(report))
        policy = next(m["content"] for m in page.all("meta") if m.get("http-equiv") == "Content-Security-Policy")
        assert policy is not None
        assert policy.startswith("default-src 'none'; ")
        assert "unsafe" not in policy
        for name in ("style", "script"):
            (text,) = page.texts[name]
            digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
            assert f"{name}-src 'sha256-{digest}'" in policy
        tags = Counter(tag for tag, _ in page.elements)
        assert not tags.keys() & {"img", "link", "iframe", "object", "embed", "base", "form", "audio", "video", "use"}
        for tag, attributes in page.elements:
            assert "src" not in attributes
            assert "style" not in attributes  # the policy would refuse it
            assert (attributes.get("href") or "#").startswith("#")
            assert not [name for name in attributes if name.startswith("on")]
            assert not any("url(" in (value or "") for value in attributes.values()) or tag == "meta"
        assert "url(" not in page.texts["style"][0]
        assert "@import" not in page.texts["style"][0]


def test_a_hostile_report_stays_text(hostile_report: Report) -> None:
    html = render_html(hostile_report)
    page = Page(html)
    assert len(page.texts["script"]) == 1
    assert "<script>alert(1)</script>" in page.texts["main"][0]  # shown, not run
    assert "{{ 7*7 }}" in page.texts["main"][0]
    assert not [c for c in html if c != "\n" and not c.isprintable()]
    assert page.open == []
    html.encode("utf-8")


def test_links_lead_somewhere_and_no_id_is_used_twice(several_report: Report) -> None:
    page = Page(render_html(several_report))
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    wanted = {(attributes["href"] or "")[1:] for attributes in page.all("a")}
    wanted |= {attributes["for"] or "" for attributes in page.all("label")}
    wanted |= {
        attributes["aria-labelledby"] or "" for _, attributes in page.elements if "aria-labelledby" in attributes
    }
    assert wanted <= set(ids)
    assert {"m1", "m2", "m3"} <= wanted


def test_one_machine_needs_no_navigation(full_report: Report, several_report: Report) -> None:
    assert not Page(render_html(full_report)).all("nav")
    assert len(Page(render_html(several_report)).all("nav")) == 1


def test_a_bar_stays_within_its_track(full_report: Report, hostile_report: Report) -> None:
    for report in (full_report, hostile_report):
        widths = [re.fullmatch(r"([\d.]+)%", r["width"] or "") for r in Page(render_html(report)).all("rect")]
        assert widths
        assert all(width is not None and 0 <= float(width[1]) <= 100 for width in widths)


def test_200_000_tags_are_cut_to_the_largest(many_tags_report: Report) -> None:
    html = render_html(many_tags_report)
    assert len(html.encode()) <= BUDGET
    assert "The 4,000 largest of 200,000 rows; 196,000 smaller ones are left out" in html
    sizes = [int(n.replace(",", "")) for n in re.findall(r"<tr><td>.*?</code><td>\w+<td>\d*<td>([\d,]+)<", html)]
    assert len(sizes) == 4000
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] == 50_827_424


def test_500_machines_fit_and_the_worst_are_shown(huge_report: Report) -> None:
    html = render_html(huge_report)
    assert len(html.encode()) <= BUDGET
    page = Page(html)
    # Every machine is named with its verdict; those in detail are the worst off.
    assert page.texts["tbody"][0].count("Windows ") == 500
    assert "334 of 500 machines have findings that hold." in page.texts["main"][0]
    shown = page.all("article")
    assert shown
    assert "tone-fine" not in html.partition("<article")[2]
    assert f"only the {len(shown)} machines that are worst off are shown in detail" in page.texts["main"][0]


@pytest.mark.parametrize("character", ['"', "\x00", "\U0001f4a3", "\u202e", "x "])
def test_no_report_at_all_is_larger_than_the_budget(hostile_report: Report, character: str) -> None:
    text = character * 5_000
    machine = hostile_report.machines[0]
    reason = ReportReason(text, 0, text)
    finding = replace(
        machine.findings[0],
        headline=text,
        pattern=text,
        because=(reason,) * 50,
        against=(reason,) * 50,
        explains=(text,) * 50,
        next_steps=(text, f"`{text}`") * 50,
    )
    machine = replace(
        machine,
        name=text,
        system=replace(machine.system, basis=(text,) * 100),
        pools=replace(machine.pools, sessions=tuple(SessionPoolUse(id=i, failures=3) for i in range(2000))),
        tags=tuple(replace(machine.tags[0], tag=text, description=text, driver=text) for _ in range(3000)),
        findings=(finding,) * 80,
    )
    report = Report(
        tool_version=text,
        inputs=(ReportInput(text, None, None, text),) * 3000,
        machines=(machine,) * 300,
        problems=(ReportProblem(text, 0, text),) * 3000,
    )
    html = render_html(report)
    assert len(html.encode()) <= BUDGET
    assert "left out of this page to keep it small" in html


def test_a_cut_command_is_not_offered_for_copying(full_report: Report) -> None:
    machine = full_report.machines[0]
    long = replace(machine.findings[4], next_steps=(f"Run `!vm {'x' * 5000}`.", "Run `!vm 4`."))
    page = Page(render_html(replace(full_report, machines=(replace(machine, findings=(long,)),))))
    assert [b["aria-label"] for b in page.all("button")] == ["Copy command: !vm 4"]


def test_no_machine_and_no_input() -> None:
    page = Page(render_html(Report(tool_version="0", inputs=(), machines=(), problems=())))
    assert "Nothing can be said" in page.texts["main"][0]
    assert page.open == []
