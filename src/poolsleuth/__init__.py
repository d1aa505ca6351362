"""poolsleuth says why a Windows machine's kernel pool is full, leaking or in pieces, and which driver did it.

from poolsleuth import diagnose
report = diagnose(["kd.log"])
print(report.machines[0].conclusion.says)
"""

__version__ = "0.1.0"

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from poolsleuth.model.errors import InputError, PoolsleuthError
    from poolsleuth.model.finding import Finding
    from poolsleuth.model.machine import Machine
    from poolsleuth.model.report import Report
    from poolsleuth.pipeline import diagnose, read

__all__ = ["Finding", "InputError", "Machine", "PoolsleuthError", "Report", "__version__", "diagnose", "read"]

# Imported when they are asked for: whoever needs a part of the package only, as most commands do, does not wait for all
_PLACES = {
    "InputError": "model.errors",
    "PoolsleuthError": "model.errors",
    "Finding": "model.finding",
    "Machine": "model.machine",
    "Report": "model.report",
    "diagnose": "pipeline",
    "read": "pipeline",
}


def __getattr__(name: str) -> object:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
