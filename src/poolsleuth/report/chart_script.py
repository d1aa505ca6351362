"""uPlot's script and style, read from the installed package ``uplot-python``; nothing of it is part of this one."""

import importlib.util
from functools import cache
from importlib import resources
from typing import NamedTuple

_PACKAGE = "uplot"
_SCRIPT = ("static", "uPlot.iife.js")
_STYLE = ("static", "uPlot.min.css")
_LARGEST = 300_000  # bytes: a script larger than this is not the one that is meant


class Plotter(NamedTuple):
    """The script that defines ``uPlot`` and the style it needs, as they stand inside a page."""

    script: str
    style: str


@cache
def plotter() -> Plotter | None:
    """The interactive plotter, None when it is not installed, cannot be read, or could not stand inside a page."""
    try:
        spec = importlib.util.find_spec(_PACKAGE)
        if spec is None:
            return None
        # The package is looked into, not imported: its own code brings far more along than these two files.
        files = resources.files(importlib.util.module_from_spec(spec))
        script, style = (_as_parsed(files.joinpath(*name).read_bytes()) for name in (_SCRIPT, _STYLE))
    except (ImportError, OSError, ValueError, TypeError):
        return None
    usable = "uPlot" in script and not any(mark in script.lower() for mark in ("</script", "<script", "<!--"))
    return Plotter(script, style) if usable and _harmless(style) else None


def _as_parsed(data: bytes) -> str:
    """The text as a browser sees it, so that its hash is that of the policy."""
    if len(data) > _LARGEST or b"\0" in data:
        raise ValueError("too large, or no text")
    return data.decode("utf-8").removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")


def _harmless(style: str) -> bool:
    """True when the style asks nobody for anything and cannot end its element."""
    return not any(mark in style.lower() for mark in ("</", "url(", "@import"))
