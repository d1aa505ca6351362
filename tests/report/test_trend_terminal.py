"""The summary of what happened over time, on a terminal."""

import io
import re
from collections.abc import Callable
from dataclasses import replace

import pytest
from rich.cells import cell_len
from rich.console import Console

from poolsleuth.model.finding import Verdict
from poolsleuth.model.report import Report, ReportMachine
from poolsleuth.report.trend_terminal import render_trend


def printed(report: Report, *, width: int = 80, encoding: str = "utf-8", colour: bool = False) -> str:
    raw = io.BytesIO()
    with io.TextIOWrapper(raw, encoding=encoding, newline="\n") as file:
        render_trend(report, Console(file=file, width=width, force_terminal=colour or None, highlight=False))
        file.flush()
        return raw.getvalue().decode(encoding)


def changed(report: Report, **changes: object) -> Report:
    (machine,) = report.machines
    return replace(report, machines=(replace(machine, **changes),))  # type: ignore[arg-type]


def machine_of(report: Report) -> ReportMachine:
    (machine,) = report.machines
    return machine


@pytest.mark.parametrize("width", [80, 160])
def test_the_whole_summary(charted_report: Report, golden: Callable[[str, str], None], width: int) -> None:
    golden(f"trend-{width}.txt", printed(charted_report, width=width))


def test_on_an_ascii_terminal(charted_report: Report, golden: Callable[[str, str], None]) -> None:
    text = printed(charted_report, encoding="ascii")
    assert text.isascii()
    golden("trend-ascii.txt", text)


@pytest.mark.parametrize("width", [80, 110, 160])
@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "cp437", "cp1252"])
def test_a_hostile_report_steers_nothing(evil_chart_report: Report, encoding: str, width: int) -> None:
    text = printed(evil_chart_report, encoding=encoding, width=width)
    assert not [c for c in text if c != "\n" and not c.isprintable()]
    assert "<script>a..." in text  # shown, not obeyed
    assert not re.search(r"^(forged|# heading)", text, re.MULTILINE)
    for line in text.splitlines():
        assert cell_len(line) <= width


def test_markup_in_a_name_is_shown(charted_report: Report) -> None:
    series = [replace(s, name="[bold]a[/bold] :smile: [link=x]y[/link]") for s in machine_of(charted_report).series]
    text = printed(changed(charted_report, name="[red]SRV[/red]", series=tuple(series)), width=160)
    assert "[bold]a[/bold] :smile: [link=x]y[/link]" in text
    assert text.startswith("[red]SRV[/red]\n")


def test_names_give_way_and_figures_do_not(charted_report: Report) -> None:
    series = tuple(replace(s, name=f"\\Object({'x' * 90})\\{s.kind}") for s in machine_of(charted_report).series)
    for width in (80, 120):
        text = printed(changed(charted_report, series=series), width=width)
        assert "xxx..." in text
        assert "…" not in text
        assert "112.1 MB" in text
    plain, long = printed(charted_report), printed(changed(charted_report, series=series))
    figures = re.compile(r"-?[\d,.]+ (?:KB|MB|GB|%)|[\d,.]+(?: M)?/s")
    assert figures.findall(plain) == figures.findall(long)


@pytest.mark.parametrize("name", ["日本語の名前がとても長い場合の計数器" * 3, "Größe", "e\u0301" * 90])
def test_wide_and_foreign_names_fit(charted_report: Report, name: str) -> None:
    series = tuple(replace(s, name=name) for s in machine_of(charted_report).series)
    for encoding in ("utf-8", "cp437", "ascii"):
        text = printed(changed(charted_report, series=series), encoding=encoding)
        assert all(cell_len(line) <= 80 for line in text.splitlines())


def test_a_machine_without_series_is_said(full_report: Report) -> None:
    assert "Nothing in this evidence was captured at two known times." in printed(full_report)


def test_several_machines_each_have_their_part(several_report: Report, charted_report: Report) -> None:
    both = replace(several_report, machines=(*several_report.machines, *charted_report.machines))
    text = printed(both)
    assert text.count("Nothing in this evidence") == 3
    assert text.count("Pools ") == 1


def test_local_times_are_called_so(charted_report: Report) -> None:
    assert "local time of the" not in printed(charted_report)
    series = machine_of(charted_report).series
    assert "local time of the server, zone not" in printed(
        changed(charted_report, series=(replace(series[0], utc=False), *series[1:]))
    )


def test_a_guess_is_called_one(charted_report: Report) -> None:
    text = " ".join(printed(charted_report).split())
    assert "suspected: a guess: Tag Thre grows and never came down in four days." in text
    assert "[pool-leak, low confidence]" in text


def test_what_was_not_found_is_told_only_when_nothing_was(charted_report: Report) -> None:
    findings = tuple(
        replace(f, verdict=Verdict.NOT_ASSESSED) if f.pattern == "pool-leak" else f
        for f in machine_of(charted_report).findings
    )
    text = printed(changed(charted_report, findings=findings))
    assert "not assessed: Tag Thre" in text
    assert "next:" not in text


def test_colour_only_for_a_terminal(charted_report: Report) -> None:
    assert "\x1b[" not in printed(charted_report)
    assert "\x1b[" in printed(charted_report, colour=True)


def test_a_value_that_is_missing_is_blank_not_0(charted_report: Report) -> None:
    (first, *_) = machine_of(charted_report).series
    empty = replace(first, name="nothing here", values=(None,) * len(first.values))
    row = next(r for r in printed(changed(charted_report, series=(empty,))).splitlines() if r.startswith("nothing"))
    assert row.split() == ["nothing", "here", "leak"]


def test_several_machines_begin_with_those_that_are_ill(charted_report: Report) -> None:
    ill = machine_of(charted_report)
    calm = tuple(replace(f, verdict=Verdict.RULED_OUT) for f in ill.findings)
    busy = tuple(replace(f, pattern="pool-load") for f in ill.findings if f.holds)
    machines = [ill, replace(ill, name="CALM01", findings=calm), replace(ill, name="BUSY01", findings=busy)]

    text = printed(replace(charted_report, machines=tuple(machines)))

    overview = text.split("\n\n")[0]
    assert overview.startswith("1 of 3 machines have something that grows\n")
    assert "CALM01" not in overview
    assert "BUSY01" not in overview, "load is no illness"
    assert "machines have" not in printed(charted_report), "one machine needs no overview"
