"""The drivers of a machine on the HTML page."""

from dataclasses import dataclass

from poolsleuth.model.report import ReportDriver, ReportDrivers
from poolsleuth.report.drivers import NAME, drivers_in_order, drivers_line, unloaded_texts, version_text
from poolsleuth.report.wording import count_text, plural, short

LEAST_ROWS = 25  # of one machine: a shorter list of a server's 200 drivers is not worth its place on the page


@dataclass(frozen=True, slots=True)
class DriverView:
    """One loaded driver, in words; what is not known is empty."""

    name: str
    base: str
    size: str
    version: str
    company: str
    path: str


@dataclass(frozen=True, slots=True)
class DriversView:
    """The drivers of one machine. ``*_left`` says in words how many were left out, empty for none."""

    line: str
    count: str
    loaded: tuple[DriverView, ...]
    loaded_left: str
    unloaded: tuple[str, ...]
    unloaded_left: str


def drivers_view(drivers: ReportDrivers, rows: int, text: int) -> DriversView | None:
    """At most ``rows`` of each list, none when there is room for less than ``LEAST_ROWS``, and ``text`` characters of
    each sentence; None when no driver is known."""
    if not drivers.loaded and not drivers.unloaded:
        return None
    rows = rows if rows >= LEAST_ROWS else 0
    loaded = drivers_in_order(drivers.loaded, rows)
    unloaded = unloaded_texts(drivers.unloaded, rows)
    loaded_left, unloaded_left = len(drivers.loaded) - len(loaded), len(drivers.unloaded) - len(unloaded)
    return DriversView(
        line=short(drivers_line(drivers), text),
        count=count_text(len(drivers.loaded)),
        loaded=tuple(_driver(driver, text) for driver in loaded),
        loaded_left=plural(loaded_left, "loaded driver") if loaded_left else "",
        unloaded=tuple(unloaded),
        unloaded_left=plural(unloaded_left, "unloaded driver") if unloaded_left else "",
    )


def _driver(driver: ReportDriver, text: int) -> DriverView:
    return DriverView(
        name=short(driver.name, NAME),
        base=short(driver.base or "", 18),
        size="" if driver.size is None else count_text(driver.size),
        version=version_text(driver, min(text, 80)),
        company=short(driver.company or "", min(text, 80)),
        path=short(driver.path or "", min(text, 160)),
    )
