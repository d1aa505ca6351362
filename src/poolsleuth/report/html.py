"""The report as one self-contained HTML file that asks no server for anything and stays under 1 MB."""

import base64
import hashlib
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from poolsleuth.model.report import Report
from poolsleuth.report.chart_script import plotter
from poolsleuth.report.charts import ChartStore
from poolsleuth.report.html_cut import BASE_CUT, Cut
from poolsleuth.report.html_view import page_view
from poolsleuth.report.wording import clean

if TYPE_CHECKING:
    from jinja2 import Environment

BUDGET = 1_000_000  # bytes: what a mail server and a ticket system still take


def render_html(report: Report) -> str:
    """The whole page. What does not fit into the budget is cut, largest and most severe kept, and the page says so."""
    cut, store = BASE_CUT, ChartStore(report)
    while (page := _page(report, cut, store)) is None:
        cut = cut.tighter()
    return page


def _page(report: Report, cut: Cut, store: ChartStore) -> str | None:
    """The page of this cut; None as soon as it is larger than the budget, so that no report costs more than that."""
    view = page_view(report, cut, store, live=cut.live and plotter() is not None)
    style, scripts = asset("report.css"), [asset("report.js")]
    if view.charted:
        style += asset("charts.css")
        if view.live and (plot := plotter()) is not None:
            style += plot.style
            scripts = [plot.script, asset("charts.js"), *scripts]
    script_sources = " ".join(f"'{source_hash(script)}'" for script in scripts)
    policy = (
        f"default-src 'none'; style-src '{source_hash(style)}'; script-src {script_sources}; "
        "base-uri 'none'; form-action 'none'"
    )
    template = environment().get_template("report.html.j2")
    chunks: list[str] = []
    size = 0
    # Style and scripts are files of installed packages and hold no data of the report: with the charts' pictures and
    # figures, which ``charts`` has escaped, the only text that is not escaped here.
    for chunk in template.generate(page=view, policy=policy, style=Markup(style), scripts=[*map(Markup, scripts)]):
        size += len(chunk.encode("utf-8"))
        if size > BUDGET and not cut.smallest:
            return None
        chunks.append(chunk)
    return "".join(chunks)


def asset(name: str) -> str:
    """A file of the folder ``templates``."""
    return resources.files("poolsleuth.report").joinpath("templates", name).read_text(encoding="utf-8")


def source_hash(text: str) -> str:
    """The name by which a content security policy allows exactly this text."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")


@cache
def environment() -> "Environment":
    """The templates, with escaping on: whatever they print is text."""
    # No other output needs it, and it takes as long to load as a small dump takes to read
    from jinja2 import Environment, PackageLoader, StrictUndefined  # noqa: PLC0415

    return Environment(
        loader=PackageLoader("poolsleuth.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_finalize,
    )


def _finalize(value: Any) -> Any:
    """The last gate: whatever a template prints, no control character or bidi override passes."""
    if isinstance(value, Markup) or not isinstance(value, str):
        return value
    return clean(value)
