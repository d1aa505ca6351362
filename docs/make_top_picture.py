"""Draws docs/images/top.svg: the screen of ``poolsleuth top`` at the end of a simulated leak, as a terminal shows it.

Run it from anywhere: ``python docs/make_top_picture.py``.
"""

import asyncio
import re
from contextlib import redirect_stderr
from io import StringIO
from math import inf
from pathlib import Path
from tempfile import TemporaryDirectory

from poolsleuth.cli.main import main as poolsleuth
from poolsleuth.pipeline import Assumed
from poolsleuth.top.feed import ReplayFeed
from poolsleuth.top.replay import open_series
from poolsleuth.top.screen.app import TopApp
from poolsleuth.top.tracker import Tracker
from poolsleuth.top.view import View, ViewOptions
from poolsleuth.windows.builds import parse_os_name

PICTURE = Path(__file__).parents[1] / "docs" / "images" / "top.svg"
SIZE = (140, 26)
PATIENCE = 60.0  # seconds


async def drawn(log: Path) -> str:
    """The screen at the end of a log, as SVG."""
    opened = open_series([str(log)], assumed=Assumed(windows=parse_os_name("2019")))
    tracker = Tracker(opened.series.index, opened.series.host)
    feed = ReplayFeed(opened.series, opened.player(inf), tracker)
    app = TopApp(
        feed, tracker, View(tracker, opened.owners()), opened.judge(), ViewOptions(), title="server01", encoding="utf-8"
    )
    async with app.run_test(size=SIZE) as pilot:
        for _ in range(int(PATIENCE / 0.5)):
            await pilot.pause(0.5)
            verdict = app.verdict
            if verdict is not None and verdict.count == len(opened.series.times):
                break
        await pilot.pause(1.0)
        return app.export_screenshot(title="poolsleuth top")


def main() -> None:
    """Write the picture."""
    with TemporaryDirectory() as folder:
        with redirect_stderr(StringIO()):
            try:
                poolsleuth(["lab", "run", "pool-leak", "--out", f"{folder}/run"])
            except SystemExit as end:
                if end.code:
                    raise
        svg = asyncio.run(drawn(Path(folder, "run", "poolmon.txt")))
    # Fonts of the reader's own machine: a picture must not ask a server for anything
    svg = re.sub(r"@font-face \{.*?\}\s*|<!--.*?-->\s*", "", svg, flags=re.DOTALL)
    svg = re.sub(r"terminal-\d+", "poolsleuth-top", svg).replace(
        "Fira Code, monospace", "DejaVu Sans Mono, Consolas, Menlo, monospace"
    )
    PICTURE.write_text(svg, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
