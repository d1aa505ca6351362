"""The chart of the detail view as a part of the screen."""

from rich.cells import set_cell_size
from rich.segment import Segment
from textual.strip import Strip
from textual.widget import Widget

from poolsleuth.top.detail_facts import Course
from poolsleuth.top.screen.chart import draw
from poolsleuth.top.screen.colours import LABEL


class Chart(Widget):
    """The course of one figure."""

    DEFAULT_CSS = "Chart { height: 10; }"

    def __init__(self, plain: bool) -> None:
        super().__init__()
        self.plain = plain
        self.course: Course | None = None
        self.utc = True
        self.limit: float | None = None
        self.mark: float | None = None
        self._rows: list[list[Segment]] | None = None

    def show(self, course: Course, *, utc: bool, limit: float | None, mark: float | None) -> None:
        """Draw this from now on."""
        self.course, self.utc, self.mark = course, utc, mark
        self.limit = limit if course.unit == "bytes" else None
        self._rows = None
        self.refresh()

    def on_resize(self) -> None:
        """Everything is placed anew."""
        self._rows = None

    def render_line(self, y: int) -> Strip:
        """One row."""
        if self._rows is None and self.course is not None:
            width, height = self.size
            course = self.course
            heading = _chart_title(course, self.limit)
            self._rows = [[Segment(set_cell_size(heading, width), LABEL)]]
            self._rows += draw(
                course.times,
                course.values,
                width,
                height - 1,
                plain=self.plain,
                unit=course.unit,
                utc=self.utc,
                limit=self.limit,
                mark=self.mark,
            )
        rows = self._rows or []
        strip = Strip(rows[y], self.size.width) if y < len(rows) else Strip.blank(self.size.width)
        return strip.apply_style(self.rich_style)


def _chart_title(course: Course, limit: float | None) -> str:
    words = course.what
    if limit is not None:
        highest = max((value for value in course.values.tolist() if value == value), default=0.0)  # noqa: PLR0124 - NaN
        words += ", broken line: the pool's limit" if highest <= limit <= 2 * highest else ""
    return words
