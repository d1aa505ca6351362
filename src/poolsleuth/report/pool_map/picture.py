"""The map as one picture (SVG or PNG), drawn by matplotlib: a panel for each pool, a legend, what is said of it."""

import io
import textwrap
import warnings
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from poolsleuth.model.errors import PoolsleuthError
from poolsleuth.model.pool_picture import PAGE, PicturedPool, PoolPicture
from poolsleuth.report.pool_map.cells import Cells, Row, fit, gather
from poolsleuth.report.pool_map.classes import FREE, PageClass, classify
from poolsleuth.report.pool_map.terminal import CHOSEN
from poolsleuth.report.pool_map.words import address_text, heading, headlines, title_of
from poolsleuth.report.wording import bytes_short, plural, short

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTHS = (64, 128, 256)  # cells in a row of a panel
ROWS = 96  # rows of a panel
MAX_POOLS = 12  # panels of one picture: a machine has three pools, and one for each session
MAX_MARKS = 12  # addresses beside a panel
_FAINTEST = 0.45  # as on the terminal
_PAPER, _INK, _MUTED = "#ffffff", "#1a2330", "#566373"
_EMPTY = "#e9edf1"  # what is not used, and where there is no cell, on paper
_ACROSS, _TALL = 10.8, 3.4  # inches of a panel's cells: across, and at most upwards
_TEXT_INCH = 0.19
_ABREAST = 7  # entries of the legend in a row


def render_picture(picture: PoolPicture, kind: str, by: str = "state") -> bytes:
    """The picture's bytes; ``kind`` is ``svg`` or ``png``. Raises PoolsleuthError when matplotlib is not installed."""
    try:
        import matplotlib as mpl  # noqa: PLC0415 - an extra, and slow to load
        from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415
        from matplotlib.figure import Figure  # noqa: PLC0415
    except ImportError:
        raise PoolsleuthError("pictures need matplotlib: install it with `pip install 'poolsleuth[plot]'`") from None
    panels = [_Panel.of(picture, pool, by) for pool in picture.pools[:MAX_POOLS]]
    heights = [panel.height for panel in panels]
    figure = Figure(figsize=(12, sum(heights) + 0.75), facecolor=_PAPER)
    FigureCanvasAgg(figure)
    total = sum(heights) + 0.75
    figure.text(0.02, 1 - 0.32 / total, _literal(heading(picture)), fontsize=12, fontweight="bold", color=_INK)
    left = len(picture.pools) - len(panels)
    top = total - 0.5
    for panel in panels:
        _draw(figure, panel, top, total)
        top -= panel.height
    if left > 0:
        figure.text(0.02, 0.08 / total, f"{plural(left, 'more pool')} not drawn", fontsize=8, color=_MUTED)
    out = io.BytesIO()
    # No date and fixed ids: the same evidence gives the same file
    metadata = {"Date": None} if kind == "svg" else {"Software": None}
    with mpl.rc_context({"svg.hashsalt": "poolsleuth"}), warnings.catch_warnings():
        # Names may hold characters that the font lacks: they are drawn as boxes, and that is all there is to say
        warnings.filterwarnings("ignore", message="Glyph .* missing from", category=UserWarning)
        figure.savefig(out, format=kind, dpi=120, metadata=metadata)
    return out.getvalue()


class _Panel:
    """What is drawn of one pool."""

    def __init__(self, picture: PoolPicture, pool: PicturedPool, by: str) -> None:
        self.picture, self.pool = picture, pool
        classified = classify(picture, pool, by)
        # As near to square cells as the panel's room allows
        square = (pool.pages * _ACROSS / _TALL) ** 0.5
        self.width = next((width for width in WIDTHS if width >= square), WIDTHS[-1])
        self.pages, self.rows, starts = fit(pool, self.width, ROWS)
        self.cells = gather(pool, classified, starts, self.pages)
        self.classes = classified.classes
        present = set(np.unique(self.cells.classes).tolist())
        self.entries = len(present) + 1 + (picture.chosen is not None)
        self.lines = [
            line for sentence in headlines(pool) if sentence for line in textwrap.wrap(_literal(sentence), 150)
        ]
        if len(self.rows) > 2 * ROWS:
            self.rows = self.rows[: 2 * ROWS]
            self.lines.append(f"only the first {plural(2 * ROWS, 'row')} are drawn")

    @classmethod
    def of(cls, picture: PoolPicture, pool: PicturedPool, by: str) -> "_Panel":
        """Measure a pool."""
        return cls(picture, pool, by)

    @property
    def map_height(self) -> float:
        """Inches of the cells."""
        return min(max(len(self.rows) * _ACROSS / self.width, 0.25), _TALL * max(1.0, len(self.rows) / ROWS))

    @property
    def height(self) -> float:
        """Inches of the panel."""
        return self.map_height + (len(self.lines) + 1) * _TEXT_INCH + (0.55 if self.entries <= _ABREAST else 0.75)

    def image(self) -> NDArray[np.uint8]:
        """The cells as pixels."""
        return _image(self.rows, self.cells, self.classes, self.width)


def _image(rows: list[Row], cells: Cells, classes: tuple[PageClass, ...], width: int) -> NDArray[np.uint8]:
    back = np.array(_rgb(_EMPTY), np.float64)
    colours = np.array([_rgb(one.colour) for one in classes], np.float64)
    used = np.array([one.used for one in classes])
    share = (_FAINTEST + (1 - _FAINTEST) * cells.used)[:, None]
    drawn = colours[cells.classes]
    drawn = np.where(used[cells.classes][:, None], back * (1 - share) + drawn * share, drawn)
    free = next((number for number, one in enumerate(classes) if one is FREE), 0)
    drawn[cells.classes == free] = back
    drawn[cells.chosen] = _rgb(_INK if CHOSEN == "#ffffff" else CHOSEN)
    image = np.full((len(rows), width, 3), 255, np.uint8)
    for number, row in enumerate(rows):
        image[number, : row.last - row.first] = np.round(drawn[row.first : row.last])
    return image


def _draw(figure: "Figure", panel: _Panel, top: float, total: float) -> None:
    from matplotlib.patches import Patch  # noqa: PLC0415

    y = top - 0.16
    figure.text(0.02, y / total, _literal(title_of(panel.pool)), fontsize=11, fontweight="bold", color=_INK)
    for line in panel.lines:
        y -= _TEXT_INCH
        figure.text(0.02, y / total, line, fontsize=8.5, color=_MUTED)
    y -= 0.12
    left = 0.085 if panel.picture.bits == 32 else 0.125
    axes = figure.add_axes((left, (y - panel.map_height) / total, 0.98 - left, panel.map_height / total))
    axes.imshow(panel.image(), interpolation="nearest", aspect="auto")
    _marks(axes, panel)
    present = [one for n, one in enumerate(panel.classes) if (panel.cells.classes == n).any()]
    patches = [Patch(color=_EMPTY if one is FREE else one.colour, label=_literal(one.label)) for one in present]
    if panel.picture.chosen is not None:
        patches.append(Patch(color=_INK, label=_literal(f"holds {short(panel.picture.chosen, 16)}")))
    words = "page" if panel.pages == 1 else f"{plural(panel.pages, 'page')}, {bytes_short(panel.pages * PAGE)}"
    patches.append(Patch(color="none", label=f"a cell is one {words}" if panel.pages == 1 else f"a cell is {words}"))
    axes.legend(
        handles=patches,
        loc="upper left",
        bbox_to_anchor=(0, -0.12 / panel.map_height),
        bbox_transform=axes.transAxes,
        ncols=_ABREAST,
        fontsize=8,
        frameon=False,
        borderaxespad=0,
        handlelength=1,
        columnspacing=1.4,
        handletextpad=0.5,
    )


def _marks(axes: "Axes", panel: _Panel) -> None:
    most = max(1, min(MAX_MARKS, int(panel.map_height / 0.17)))
    step = -(-len(panel.rows) // most)
    places = list(range(0, len(panel.rows), step))
    axes.set_yticks(places)
    axes.set_yticklabels(
        [address_text(panel.rows[at].address, panel.picture.bits) for at in places], family="monospace", fontsize=7.5
    )
    axes.set_xticks([])
    axes.tick_params(length=2, colors=_MUTED)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _rgb(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def _literal(text: str) -> str:
    """Text as it is: a dollar sign would begin a formula, a leading underscore hides a legend's entry."""
    return " " + text.replace("$", r"\$") if text.startswith("_") or not text else text.replace("$", r"\$")
