"""The drivers of a machine as every output shows them: one line, and the list with the third-party ones first."""

import heapq
from collections.abc import Sequence

from poolsleuth.model.report import ReportDriver, ReportDrivers, ReportUnloadedDriver
from poolsleuth.report.wording import count_text, plural, short, time_text

NAME = 60  # characters shown of a file's name
UNLOADED_NAMED = 8  # names in the line
UNLOADED_ROWS = 50  # names in the list: the kernel remembers no more
_KERNEL_REMEMBERS = 50  # unloadings

_WINDOWS = "microsoft"  # what the company of every driver of Windows begins with


def drivers_line(drivers: ReportDrivers) -> str:
    """``151 drivers loaded, 4 unloaded since boot: dam.sys, WdBoot.sys``; empty when no driver is known."""
    said = []
    if drivers.loaded:
        count = plural(len(drivers.loaded), "driver")
        said.append(f"{count} loaded" if drivers.complete else f"{count} known of those that are loaded")
    if drivers.unloaded:
        gone = count_text(len(drivers.unloaded)) if said else plural(len(drivers.unloaded), "driver")
        times = sum(driver.times for driver in drivers.unloaded)
        # The kernel forgets the oldest: a full list does not reach back to the boot
        since = f"in the last {count_text(times)} unloadings" if times >= _KERNEL_REMEMBERS else "unloaded since boot"
        names = [short(driver.name, NAME) for driver in drivers.unloaded[:UNLOADED_NAMED]]
        more = ", ..." if len(drivers.unloaded) > len(names) else ""
        said.append(f"{gone} {since}: {', '.join(names)}{more}")
    return ", ".join(said)


def drivers_in_order(drivers: Sequence[ReportDriver], limit: int) -> list[ReportDriver]:
    """The rows to show: third-party companies first, then those of no known company, then Windows' own; by name."""
    return heapq.nsmallest(limit, drivers, key=lambda driver: (_rank(driver), driver.name[:NAME].casefold()))


def _rank(driver: ReportDriver) -> int:
    if not driver.company or not driver.company.strip():
        return 1
    return 2 if driver.company.strip().casefold().startswith(_WINDOWS) else 0


def version_text(driver: ReportDriver, limit: int, *, remarks: bool = True) -> str:
    """The version; where it is not known, the time stamp, which may be the date of the build.

    ``remarks`` False leaves out what the evidence says about the stamp in parentheses.
    """
    if driver.version:
        return short(driver.version, limit)
    if not driver.timestamp:
        return ""
    stamp = short(driver.timestamp, limit)
    return f"time stamp {stamp if remarks else stamp.partition(' (')[0]}"


def unloaded_texts(unloaded: Sequence[ReportUnloadedDriver], limit: int) -> list[str]:
    """``usbstor.sys (3 times, last 2021-01-05 11:35:56 UTC)`` for each driver, ``limit`` at most."""
    texts = []
    for driver in unloaded[: min(limit, UNLOADED_ROWS)]:
        known = [plural(driver.times, "time")] if driver.times != 1 else []
        if driver.last_at is not None:
            known.append(f"{'last ' if known else ''}{time_text(driver.last_at)}")
        texts.append(short(driver.name, NAME) + (f" ({', '.join(known)})" if known else ""))
    return texts
