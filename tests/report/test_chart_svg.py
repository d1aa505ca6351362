import re
from dataclasses import replace
from datetime import UTC, datetime
from xml.etree import ElementTree as ET

from poolsleuth.model.report import Report, ReportSeries
from poolsleuth.report.chart_data import Chart, charts_of, line_of
from poolsleuth.report.chart_svg import chart_svg, describe


def chart_of(*series: ReportSeries) -> Chart:
    lines = [line for line in map(line_of, series) if line is not None]
    (chart,), _ = charts_of(lines, 99, 400)
    return chart


def plain(values: tuple[float | None, ...], name: str = "x", utc: bool = True) -> ReportSeries:
    return ReportSeries(
        name=name,
        kind="pool",
        unit="bytes",
        start=datetime(2020, 5, 1, tzinfo=UTC),
        seconds=tuple(100.0 * i for i in range(len(values))),
        values=values,
        samples=len(values),
        utc=utc,
    )


def paths(svg: str) -> list[tuple[str | None, str]]:
    return [(path.get("class"), path.get("d") or "") for path in ET.fromstring(svg).iter("path")]


def stations(d: str) -> list[list[tuple[int, int]]]:
    """The points of a path, one list for each stretch."""
    stretches: list[list[tuple[int, int]]] = []
    for command, numbers in re.findall(r"([MlLh])([^MlLh]*)", d):
        values = [int(n) for n in re.findall(r"-?\d+", numbers)]
        if command == "M":
            stretches.append([(values[0], values[1])])
        elif command == "l":
            for dx, dy in zip(values[::2], values[1::2], strict=True):
                x, y = stretches[-1][-1]
                stretches[-1].append((x + dx, y + dy))
    return stretches


def test_the_line_goes_through_its_points_and_stops_at_a_gap() -> None:
    # The axis goes from 0 to 1080: 8 % room above 1000.
    ((_, d),) = paths(chart_svg(chart_of(plain((0.0, 1000.0, 500.0, None, 250.0)))))
    assert stations(d) == [[(0, 1000), (250, 74), (500, 537)], [(1000, 769)]]
    assert d.endswith("h0")  # a lone value is a dot


def test_limit_growth_and_forecast_are_drawn(charted_report: Report) -> None:
    series = charted_report.machines[0].series
    svg = chart_svg(chart_of(*series[:2]))
    assert [kind for kind, _ in paths(svg)] == ["limit", None, "fit", "forecast", "limit", None]
    assert svg.count("<circle ") == 1
    assert ">limit 124.9 MB</text>" in svg
    assert ">limit 152.0 MB</text>" in svg
    nonpaged = stations(paths(svg)[1][1])
    assert len(nonpaged) == 2  # 18 samples are missing in the middle
    fit, forecast = (re.findall(r"-?\d+", paths(svg)[i][1]) for i in (2, 3))
    assert fit[2:] == forecast[:2]


def test_the_picture_says_what_it_shows(charted_report: Report) -> None:
    series = charted_report.machines[0].series
    said = describe(chart_of(*series[:2]))
    assert said.startswith("Pools, 2008-03-22 06:00:00 UTC to 2008-03-26 06:00:00 UTC: Nonpaged pool from 7")
    assert 'role="img" aria-label="Pools, 2008' in chart_svg(chart_of(*series[:2]))
    many = [replace(series[2], name=f"T{i}") for i in range(7)]
    assert describe(chart_of(*many)).endswith("; 3 more lines.")
    assert "UTC" not in describe(chart_of(plain((1.0, 2.0), utc=False)))


def test_a_picture_is_small_and_well_formed(long_series_report: Report, evil_chart_report: Report) -> None:
    series = long_series_report.machines[0].series
    assert len(chart_svg(chart_of(series[0]))) < 4000
    for one in evil_chart_report.machines[0].series:
        if line_of(one) is not None:
            svg = chart_svg(chart_of(one))
            names = {element.tag for element in ET.fromstring(svg).iter()}
            assert names <= {"svg", "g", "line", "text", "path", "circle"}
            assert not re.search(r"\b(?:nan|inf)\b|\de[+-]\d+%", svg)
            assert "style=" not in re.sub(r'aria-label="[^"]*"', "", svg)


def test_a_name_is_text() -> None:
    svg = chart_svg(chart_of(plain((1.0, 2.0), '"><script>alert(1)</script>\u202e\x1b')))
    assert "<script" not in svg
    assert "\\u202e\\x1b" in svg
