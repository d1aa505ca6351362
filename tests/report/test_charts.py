import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from poolsleuth.model.report import Report, ReportSeries
from poolsleuth.report.chart_data import charts_of, line_of
from poolsleuth.report.charts import ChartStore, chart_json


def decoded(text: str) -> tuple[dict[str, list[float]], dict[str, list[float | None]]]:
    """Times and values of each line, read as the script reads them."""
    document = json.loads(text)
    times: list[list[float]] = []
    values: list[list[float | None]] = []
    for line in document["lines"]:
        if isinstance(line["t"], int):
            times.append(times[line["t"]])
        else:
            at = 0
            times.append([document["t0"] + (at := at + step) * document["dt"] for step in line["t"]])
        at = 0
        values.append([None if step is None else (at := at + step) * line["dv"] for step in line["v"]])
    names = [line["n"] for line in document["lines"]]
    return dict(zip(names, times, strict=True)), dict(zip(names, values, strict=True))


def test_the_script_is_told_the_figures(charted_report: Report) -> None:
    series = charted_report.machines[0].series[:2]
    lines = [line for line in map(line_of, series) if line is not None]
    (chart,), _ = charts_of(lines, 9, 400)
    times, values = decoded(chart_json(chart))
    for one in series:
        spread = max(v for v in one.values if v is not None) - min(v for v in one.values if v is not None)
        for told, true in zip(values[one.name], one.values, strict=True):
            assert (told is None) == (true is None)
            if told is not None and true is not None:
                assert told == pytest.approx(true, abs=spread / 100_000)
        start = one.start.timestamp()
        assert times[one.name] == pytest.approx([start + second for second in one.seconds], abs=10)
    document = json.loads(chart_json(chart))
    assert [line.get("limit") for line in document["lines"]] == [127_944 * 1024, 155_648 * 1024]
    assert document["lines"][1]["t"] == 0  # the same times are told once
    assert document["lines"][0]["ahead"][1][1] == 127_944 * 1024
    assert "ahead" not in document["lines"][1]


def test_whole_numbers_stay_whole_and_times_stay_apart() -> None:
    made = line_of(
        ReportSeries(
            name="n",
            kind="tag",
            unit="count",
            start=datetime(2020, 1, 1, 0, 0, 0, 300_000, tzinfo=UTC),
            seconds=(0.0, 0.00001, 0.00002, 86_400.0),
            values=(110_065.0, 110_066.0, 110_064.0, 137_029.0),
            samples=4,
        )
    )
    assert made is not None
    (chart,), _ = charts_of([made], 9, 400)
    times, values = decoded(chart_json(chart))
    assert values["n"] == [110_065, 110_066, 110_064, 137_029]
    assert len(set(times["n"])) == 4


def test_the_figures_can_stand_in_a_script_element(evil_chart_report: Report) -> None:
    views = ChartStore(evil_chart_report).views([1], 240, 40_000, 2000, live=True)[1]
    charts = (*views.lead, *views.more)
    assert len(charts) == 5
    for chart in charts:
        assert chart.data is not None
        assert not set(chart.data) & set("<>&\u2028\u2029\n\r\u202e\x00")
        for line in json.loads(chart.data)["lines"]:
            assert line["n"].startswith("<script>alert(1)</script>")
        assert chart.says
    assert all(chart.data is None for chart in ChartStore(evil_chart_report).views([1], 9, 99, 99, live=False)[1].lead)


def test_pools_and_what_grows_stand_open(charted_report: Report) -> None:
    views = ChartStore(charted_report).views([1], 240, 40_000, 2000, live=True)[1]
    assert [chart.title for chart in views.lead] == ["Pools", "Tags that grow", "Processes: handles"]
    assert [chart.title for chart in views.more] == ["Load: per second", "Load: percent"]
    assert [entry.name for entry in views.lead[0].legend] == ["Nonpaged pool", "Paged pool"]
    assert views.left == ""
    assert views.lead[0].key == "Long dashes: limit, short dashes: fitted growth, dots: where it leads."
    assert views.lead[1].key == ""


def test_the_date_of_the_limit_is_said_once(charted_report: Report) -> None:
    machine = charted_report.machines[0]
    said = "At the fitted rate the limit of 124.9 MB is reached at 2008-03-27 12:00:00 UTC."

    def says(series: ReportSeries) -> str:
        report = replace(charted_report, machines=(replace(machine, series=(series,)),))
        return ChartStore(report).views([1], 9, 999, 2000, live=False)[1].lead[0].says[0].says

    assert says(machine.series[0]).endswith(said)
    assert says(replace(machine.series[0], says=said)) == said
    assert machine.series[0].trend is not None
    later = replace(machine.series[0].trend, limit_reached_at=datetime(2009, 3, 27, tzinfo=UTC))
    assert says(replace(machine.series[0], trend=later)).endswith(
        "2009-03-27 00:00:00 UTC, later than this chart reaches."
    )
    far = replace(machine.series[1], limit=2.0**37)
    assert says(far).endswith("The limit of 128.0 GB lies far above this chart.")


def test_a_forecast_beyond_the_chart_is_there_for_the_script_only(far_report: Report) -> None:
    (picture,) = ChartStore(far_report).views([1], 1, 999, 2000, live=False)[1].lead
    assert picture.key == "Short dashes: fitted growth."
    assert 'class="limit"' not in picture.picture
    assert picture.says[0].says.endswith(
        "At the fitted rate the limit of 8.0 GB is reached at 2008-04-20 00:00:00 UTC, later than this chart reaches."
    )
    (live,) = ChartStore(far_report).views([1], 1, 999, 2000, live=True)[1].lead
    assert live.key == "Long dashes: limit, short dashes: fitted growth, dots: where it leads."
    data = json.loads(live.data or "")
    (line,) = data["lines"]
    assert line["far"][1][1] == pytest.approx(8 << 30)
    assert "limit" not in line
    assert data["far"] > line["far"][1][0] > data["x"][1]


def test_lines_and_points_are_shared_out(huge_chart_report: Report) -> None:
    store = ChartStore(huge_chart_report)
    views = store.views(range(1, 61), 240, 4000, 2000, live=True)
    assert len(views) == 60
    for machine in views.values():
        lines = [line for chart in machine.lead for line in json.loads(chart.data or "")["lines"]]
        assert [line["n"] for line in lines] == ["Nonpaged pool", "Paged pool", "Thre", "None"]
        assert all(len(line["v"]) <= 16 for line in lines)
        assert machine.left == "6 more series over time"
    none = store.views(range(1, 61), 50, 4000, 2000, live=True)
    assert all(not machine.any and machine.left == "10 more series over time" for machine in none.values())
