"""The series as SVG and PNG."""

import re
import struct
import sys
import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest

from poolsleuth.model.errors import PoolsleuthError
from poolsleuth.model.report import Report
from poolsleuth.report.picture import MAX_LINES, MAX_PANELS, render_picture


def small(report: Report, *names: str) -> Report:
    """A report with short series of these names, all in one panel."""
    (machine,) = report.machines
    first = machine.series[0]
    series = tuple(replace(first, name=name, seconds=first.seconds[:9], values=first.values[:9]) for name in names)
    return replace(report, machines=(replace(machine, series=series),))


def comments(svg: bytes) -> list[str]:
    """matplotlib draws text as outlines, and writes it as a comment before each."""
    return [text.strip() for text in re.findall(r"<!--(.*?)-->", svg.decode("utf-8"), re.DOTALL)]


def test_svg(charted_report: Report) -> None:
    svg = render_picture(charted_report, "svg")

    ET.fromstring(svg)
    said = comments(svg)
    assert any(re.fullmatch(r"FILESRV-02: Pools, [MG]B", text) for text in said)
    assert "FILESRV-02: Load, per second" in said
    assert "tag Thre" in said or "Thre" in said
    assert "200" in said or "100" in said or "500" in said, "the marks are round"


def test_a_limit_is_a_line_or_stands_in_the_legend(charted_report: Report) -> None:
    (machine,) = charted_report.machines
    top = max(value for value in machine.series[0].values if value is not None)

    def drawn(limit: float | None) -> bytes:
        one = replace(machine.series[0], limit=limit, trend=None, line=())
        return render_picture(replace(charted_report, machines=(replace(machine, series=(one,)),)), "svg")

    near, far, none = drawn(3.0 * top), drawn(float(8 << 30)), drawn(None)
    assert "Nonpaged pool" in comments(near)
    assert near.count(b"stroke-dasharray") == none.count(b"stroke-dasharray") + 1
    assert "Nonpaged pool, limit 8.0 GB" in comments(far)
    assert far.count(b"stroke-dasharray") == none.count(b"stroke-dasharray")
    assert not any("limit" in text for text in comments(none))


@pytest.mark.parametrize(
    ("clocks", "says"),
    [
        ((True, True), "UTC"),
        ((False, False), "local time of the server"),
        ((True, False), "UTC or local time of the server"),
    ],
)
def test_the_time_axis_says_whose_clock_it_is(charted_report: Report, clocks: tuple[bool, ...], says: str) -> None:
    report = small(charted_report, "a", "b")
    (machine,) = report.machines
    series = tuple(replace(one, utc=utc) for one, utc in zip(machine.series, clocks, strict=True))
    svg = render_picture(replace(report, machines=(replace(machine, series=series),)), "svg")
    assert says in comments(svg)


@pytest.mark.parametrize("kind", ["svg", "png"])
def test_the_same_evidence_gives_the_same_file(charted_report: Report, kind: str) -> None:
    report = small(charted_report, "a", "b")
    assert render_picture(report, kind) == render_picture(report, kind)


def test_no_date_and_no_program_in_the_file(charted_report: Report) -> None:
    svg = render_picture(small(charted_report, "a"), "svg")
    assert b"<dc:date>" not in svg
    assert b"Software" not in render_picture(small(charted_report, "a"), "png")


def test_png(charted_report: Report) -> None:
    png = render_picture(charted_report, "png")
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", png[16:24])
    assert (width, height) == (1210, round(5 * 2.9 * 110))


@pytest.mark.parametrize(
    "name", ["$x$", "a$b", "cost $5 and $6", r"\$", "$\\frac{1}{0$", "__init__", "_Total", "_", ""]
)
def test_names_are_never_formulas_and_never_hidden(charted_report: Report, name: str) -> None:
    svg = render_picture(small(charted_report, name, "other"), "svg")
    ET.fromstring(svg)
    said = comments(svg)
    assert "other" in said
    if name.strip():
        assert any(name.lstrip("_").replace("\\", "")[:3] in text.replace("\\", "") for text in said), said


@pytest.mark.parametrize("kind", ["svg", "png"])
def test_a_hostile_report_is_drawn(evil_chart_report: Report, kind: str) -> None:
    data = render_picture(evil_chart_report, kind)
    if kind == "svg":
        assert ET.fromstring(data).tag.endswith("svg")
        assert b"<script" not in data
        assert b"onerror=alert" not in re.sub(rb"<!--.*?-->", b"", data, flags=re.DOTALL)


def test_a_name_cannot_end_the_comment_it_stands_in(charted_report: Report) -> None:
    svg = render_picture(small(charted_report, "--><script>alert(1)</script><!--"), "svg")
    assert not [e for e in ET.fromstring(svg).iter() if "script" in e.tag]


def test_letters_that_the_font_lacks_do_no_harm(charted_report: Report) -> None:
    render_picture(small(charted_report, "日本語 \U0001f600"), "png")


def test_the_picture_is_bounded(charted_report: Report) -> None:
    many = small(charted_report, *(f"series {i}" for i in range(MAX_LINES + 5)))
    said = comments(render_picture(many, "svg"))
    assert f"series {MAX_LINES - 1}" in said
    assert f"series {MAX_LINES}" not in said

    (machine,) = small(charted_report, "a").machines
    crowd = replace(charted_report, machines=(machine,) * (MAX_PANELS + 3))
    png = render_picture(crowd, "png")
    assert struct.unpack(">II", png[16:24])[1] == pytest.approx(MAX_PANELS * 2.9 * 110, abs=2)


def test_nothing_to_draw_is_said(full_report: Report) -> None:
    with pytest.raises(PoolsleuthError, match="captured at two known times"):
        render_picture(full_report, "svg")


def test_matplotlib_is_an_extra(charted_report: Report, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [n for n in sys.modules if n.split(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(PoolsleuthError, match=r"poolsleuth\[plot\]"):
        render_picture(charted_report, "svg")
