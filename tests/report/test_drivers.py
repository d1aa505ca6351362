"""Drivers and failed allocations of no known pool, as every output tells them."""

import io
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console

from poolsleuth.model.report import PoolUse, Report, ReportDriver, ReportDrivers, ReportUnloadedDriver, SessionPoolUse
from poolsleuth.report.arrange import unassigned_failures
from poolsleuth.report.drivers import (
    UNLOADED_NAMED,
    UNLOADED_ROWS,
    drivers_in_order,
    drivers_line,
    unloaded_texts,
    version_text,
)
from poolsleuth.report.html import BUDGET, render_html
from poolsleuth.report.markdown import render_markdown
from poolsleuth.report.terminal import DRIVER_ROWS, render

FAILED = "818 pool allocations failed since boot; which pool is not known"


def driver(name: str, company: str | None = None, **known: Any) -> ReportDriver:
    return ReportDriver(name=name, company=company, **known)


def gone(*names: str, times: int = 1) -> tuple[ReportUnloadedDriver, ...]:
    return tuple(ReportUnloadedDriver(name=name, times=times) for name in names)


def with_drivers(report: Report, drivers: ReportDrivers) -> Report:
    return replace(report, machines=(replace(report.machines[0], drivers=drivers),))


def printed(report: Report, verbosity: int = 0, width: int = 100) -> str:
    out = io.StringIO()
    render(report, Console(file=out, width=width), verbosity=verbosity)
    return out.getvalue()


# ---- the line ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("drivers", "says"),
    [
        (ReportDrivers(), ""),
        (ReportDrivers(loaded=(driver("a.sys"),) * 151, complete=True), "151 drivers loaded"),
        (ReportDrivers(loaded=(driver("a.sys"),), complete=False), "1 driver known of those that are loaded"),
        (ReportDrivers(unloaded=gone("a.sys", "b.sys")), "2 drivers unloaded since boot: a.sys, b.sys"),
        (
            ReportDrivers(loaded=(driver("a.sys"),) * 2, complete=True, unloaded=gone("dam.sys")),
            "2 drivers loaded, 1 unloaded since boot: dam.sys",
        ),
        # The kernel remembers 50 unloadings: what was before them is not known
        (ReportDrivers(unloaded=gone("a.sys", times=50)), "1 driver in the last 50 unloadings: a.sys"),
        (ReportDrivers(unloaded=gone("\x1b[31ma.sys")), "1 driver unloaded since boot: \\x1b[31ma.sys"),
    ],
)
def test_the_line(drivers: ReportDrivers, says: str) -> None:
    assert drivers_line(drivers) == says


def test_the_line_names_a_few() -> None:
    line = drivers_line(ReportDrivers(unloaded=gone(*(f"{i}.sys" for i in range(20)))))
    assert line.count(".sys") == UNLOADED_NAMED
    assert line.endswith("7.sys, ...")
    assert len(drivers_line(ReportDrivers(unloaded=gone(*("x" * 100_000,) * 20)))) < 600


# ---- the lists ---------------------------------------------------------------------------------------------------


def test_third_parties_stand_first_and_windows_last() -> None:
    loaded = [driver("nt", "Microsoft Corporation"), driver("b.sys"), driver("z.sys", "Acme"), driver("A.sys", " ")]
    loaded += [driver("c.sys", "Zeta"), driver("d.sys", " MICROSOFT")]
    assert [d.name for d in drivers_in_order(loaded, 9)] == ["c.sys", "z.sys", "A.sys", "b.sys", "d.sys", "nt"]
    assert [d.name for d in drivers_in_order(loaded, 2)] == ["c.sys", "z.sys"]


def test_the_version_or_the_time_stamp() -> None:
    stamp = "5A066D55 (2017-11-11 03:29:25 UTC, or a hash of the build)"
    assert version_text(driver("a", version="1.2", timestamp=stamp), 80) == "1.2"
    assert version_text(driver("a", timestamp=stamp), 80) == f"time stamp {stamp}"
    assert version_text(driver("a", timestamp=stamp), 80, remarks=False) == "time stamp 5A066D55"
    assert version_text(driver("a"), 80) == ""


def test_unloadings_in_words(full_report: Report) -> None:
    unloaded = full_report.machines[0].drivers.unloaded
    assert unloaded_texts(unloaded, 9) == ["usbstor.sys (3 times, last 2008-03-25 08:01:02 UTC)", "kmixer.sys"]
    assert unloaded_texts([replace(unloaded[0], times=1)], 9) == ["usbstor.sys (2008-03-25 08:01:02 UTC)"]
    assert len(unloaded_texts(unloaded * 500, 10_000)) == UNLOADED_ROWS


# ---- the outputs -------------------------------------------------------------------------------------------------

LINE = "4 drivers loaded, 2 unloaded since boot: usbstor.sys, kmixer.sys"


def test_every_output_has_the_line(full_report: Report) -> None:
    assert f"  {LINE}\n" in printed(full_report)
    assert f"\n\n{LINE}.\n\n" in render_markdown(full_report)
    assert f"<p>{LINE}.</p>" in render_html(full_report)


def test_without_drivers_no_output_speaks_of_them(full_report: Report) -> None:
    report = with_drivers(full_report, ReportDrivers())
    assert "drivers" not in printed(report, 2).lower().replace("c:\\drivers", "")
    assert "drivers loaded" not in render_markdown(report)
    assert "<summary>Drivers" not in render_html(report)


def test_the_list_comes_with_everything(full_report: Report) -> None:
    for verbosity in (0, 1):
        assert "0xf50b8000" not in printed(full_report, verbosity)
    text = printed(full_report, 2)
    order = [
        "those of third parties first",
        "Example Ltd. - 1.0.4",
        "dxg.sys",
        "time stamp 45D6A0B1\n",
        "5.2.3790.3959",
    ]
    assert sorted(order, key=text.index) == order
    assert "Size" in text
    assert "Size" not in printed(full_report, 2, width=80).partition("Loaded drivers")[2]
    assert "- usbstor.sys (3 times, last 2008-03-25 08:01:02 UTC)" in text


def test_the_lists_on_a_terminal_are_cut_and_say_so(full_report: Report) -> None:
    many = ReportDrivers(loaded=tuple(driver(f"d{i}.sys") for i in range(5000)), unloaded=gone("x.sys") * 80)
    text = printed(with_drivers(full_report, many), 2)
    assert text.count("\n  d") == DRIVER_ROWS
    assert "and 4,700 more drivers: the JSON report holds them" in text
    assert "and 30 more drivers: the JSON report holds them" in text
    assert "third parties" not in text  # no company is known


def test_the_page_holds_the_list_folded(full_report: Report) -> None:
    html = render_html(full_report)
    table = html.partition('<summary>Drivers <span class="count">4</span></summary>')[2].partition("</details>")[0]
    assert "<details" not in table
    for words in (
        "<code>guid.sys</code>",
        "0xf50b8000",
        "53,248",
        "Example Ltd.",
        "C:\\x\\guid.sys",
        "<h4>Unloaded</h4>",
    ):
        assert words in table
    assert "left out of this page" not in table


def test_the_list_on_the_page_is_cut_and_says_so(full_report: Report) -> None:
    loaded = tuple(driver("x" * 1000, "y" * 1000, version="z" * 1000, path="p" * 1000) for _ in range(20_000))
    html = render_html(with_drivers(full_report, ReportDrivers(loaded=loaded, unloaded=gone("u.sys") * 1000)))
    assert len(html.encode()) <= BUDGET
    assert "950 unloaded drivers left out of this page" in html
    assert "19,400 loaded drivers left out of this page" in html


# ---- failures of no known pool -----------------------------------------------------------------------------------


def failing(report: Report, **pools: object) -> Report:
    machine = report.machines[0]
    return replace(report, machines=(replace(machine, pools=replace(machine.pools, **pools)),))  # type: ignore[arg-type]


def test_failures_of_no_known_pool_stand_under_the_pools(healthy_report: Report) -> None:
    report = failing(healthy_report, failures=818)
    text = printed(report)
    order = ["paged pool ", f"\n  {FAILED}\n", "Ruled out"]
    assert sorted(order, key=text.index) == order
    assert FAILED in render_html(report)
    assert f"\n\n**{FAILED}.**\n" in render_markdown(report)
    assert "failed" not in printed(healthy_report)


@pytest.mark.parametrize(
    ("pools", "told"),
    [
        ({"failures": 818}, True),
        ({"failures": None}, False),
        ({"failures": 0}, False),
        ({"failures": -3}, False),
        ({"failures": 818, "paged": PoolUse(failures=818)}, False),
        ({"failures": 818, "nonpaged": PoolUse(failures=0)}, True),
        ({"failures": 818, "sessions": (SessionPoolUse(id=3, failures=818),)}, False),
        ({"failures": 818, "sessions": (SessionPoolUse(id=3),)}, True),
    ],
)
def test_when_the_pool_is_not_known(healthy_report: Report, pools: dict[str, object], told: bool) -> None:
    assert unassigned_failures(failing(healthy_report, **pools).machines[0]) == (FAILED if told else "")
