"""High use that comes down with the load. Only time can show it, so one capture never answers."""

from poolsleuth.model.finding import Finding
from poolsleuth.patterns.pattern import not_assessed
from poolsleuth.patterns.views import PoolStates

ID = "pool-load"


def judge(states: PoolStates) -> Finding:
    """Not assessed from captures at one time."""
    del states  # needed only so that evidence without any pool figure is told what to run first
    return not_assessed(
        ID,
        "one capture cannot tell load from a leak",
        "record \\Memory\\Pool Nonpaged Bytes, \\Memory\\Pool Paged Bytes and the server's load for a day"
        " (`logman create counter ... -f bincirc -si 00:05:00`)",
    )
