"""Draws docs/images/report.svg: the report on examples/untagged.log as a terminal shows it.

Run it from anywhere: ``python docs/make_picture.py``.
"""

import io
import re
from pathlib import Path

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console

from poolsleuth import diagnose
from poolsleuth.report.terminal import render

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "examples" / "untagged.log"
PICTURE = ROOT / "docs" / "images" / "report.svg"
WIDTH = 100

# Fonts of the reader's own machine: a picture must not ask a server for anything
FORMAT = re.sub(r"@font-face \{\{.*?\}\}\s*|<!--.*?-->\s*", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL).replace(
    "Fira Code, monospace", "DejaVu Sans Mono, Consolas, Menlo, monospace"
)


def main() -> None:
    """Write the picture."""
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    render(diagnose([str(EXAMPLE)]), console)
    PICTURE.parent.mkdir(exist_ok=True)
    console.save_svg(
        str(PICTURE),
        title="poolsleuth diagnose examples/untagged.log",
        code_format=FORMAT,
        unique_id="poolsleuth-report",
    )


if __name__ == "__main__":
    main()
