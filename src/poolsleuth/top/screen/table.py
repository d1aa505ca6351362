"""The table of tags: only the lines that are on the screen are looked up and drawn."""

import numpy as np
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.geometry import Region
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from poolsleuth.top.screen.colours import HEADING, PLAIN, SORTED, Signs
from poolsleuth.top.screen.cursor import Cursor
from poolsleuth.top.screen.layout import CHANGE, TAG_WIDTH, WIDEST_TAG, Layout, layout, titles
from poolsleuth.top.screen.lines import line, tag_cells, total_line
from poolsleuth.top.view import Column, View, ViewOptions
from poolsleuth.top.view_columns import WITH_CHANGE, WORDS

WHEEL = 3  # lines that one notch of the wheel moves
FEWEST_LINES = 3  # of tags: below, totals give way


class TagTable(Widget):
    """Draws what a view says of the tags under the cursor and around it."""

    DEFAULT_CSS = "TagTable { height: 1fr; width: 100%; }"

    class Sorted(Message):
        """A heading was clicked: sort by its column, by change where the change was clicked."""

        def __init__(self, column: Column, *, by_change: bool) -> None:
            super().__init__()
            self.column = column
            self.by_change = by_change

    class Opened(Message):
        """A line was double-clicked."""

    class Moved(Message):
        """The cursor or the lines on the screen are others."""

    def __init__(self, view: View, options: ViewOptions, signs: Signs, *, alone: bool = False) -> None:
        """``alone``: there is one sample, and there will be no other."""
        super().__init__()
        self.alone = alone
        self.view = view
        self.options = options
        self.signs = signs
        self.cursor = Cursor()
        self.layout_shown = Layout((), 0)
        self._tag_width = TAG_WIDTH
        self._strips: list[Strip] = []

    # ---- what is shown ---------------------------------------------------------------------------------------------

    def update(self) -> None:
        """Look everything up again: the tracker went on, or something else is to be shown."""
        if not self.size.width or not self.size.height:
            return
        self.cursor.show(self.view.rows(self.options))
        self._draw()

    def _draw(self) -> None:
        width, height = self.size
        cursor, options = self.cursor, self.options
        totals = self.view.totals(options) if options.totals else ()
        if height - 1 - len(totals) < FEWEST_LINES:
            totals = ()
        cursor.resize(height - 1 - len(totals))
        visible = cursor.ids[cursor.top : cursor.top + cursor.height]
        rows = self.view.look(visible)
        self._tag_width = max([self._tag_width, *(min(tag_cells(row), WIDEST_TAG) for row in rows)])
        shown = self.layout_shown = self._layout(width)
        blocks = next((cell.width for cell in shown.cells if cell.column is Column.TREND), 0)
        trends = self.view.sparks(visible, blocks) if blocks and len(visible) else [[] for _ in rows]
        strips = [self._heading()]
        for place, (row, trend) in enumerate(zip(rows, trends, strict=True)):
            at = cursor.top + place == cursor.line
            segments = line(row, trend, shown, self.signs, cursor=at, highlight=options.highlight)
            strips.append(Strip(segments))
        if not rows:
            strips.append(Strip([Segment(f" {self._nothing()}", PLAIN)]))
        blank = Strip.blank(width, Style.null())
        strips += [blank] * (height - len(totals) - len(strips))
        strips += [Strip(total_line(total, shown)) for total in totals]
        self._replace(strips)

    def _replace(self, strips: list[Strip]) -> None:
        """Other lines; only those that differ are sent to the terminal."""
        before, self._strips = self._strips, strips
        if len(before) != len(strips):
            self.refresh()
            return
        width = self.size.width
        changed = [
            Region(0, y, width, 1) for y, (old, new) in enumerate(zip(before, strips, strict=True)) if old != new
        ]
        if changed:
            self.refresh(*changed)

    def _layout(self, width: int) -> Layout:
        tracker, options = self.view.tracker, self.options
        times = tracker.history.times
        return layout(
            width,
            sort=options.sort,
            by_change=options.by_change,
            tag_width=self._tag_width,
            marked=tracker.mark is not None,
            sessions=options.session is not None,
            dated=bool(len(times)) and bool(np.isfinite(times[-1])),
            owned=self.view.owners is not None,
            alone=self.alone,
        )

    def _nothing(self) -> str:
        """Why there are no lines."""
        options = self.options
        if self.view.tracker.now is None:
            return "waiting for the first sample"
        if options.session is not None and not self.view.sessions():
            return "no tags of sessions are known here; s shows the system's pools"
        if options != ViewOptions(sort=options.sort, by_change=options.by_change, totals=options.totals):
            return "no tag is shown; c shows all there are"
        return "no tag is known here"

    def _heading(self) -> Strip:
        options = self.options
        ascending = (options.sort in WORDS) is not options.reverse
        stretches = titles(
            self.layout_shown,
            options.sort,
            by_change=options.by_change and options.sort in WITH_CHANGE,
            ascending=ascending,
            signs=self.signs,
        )
        segments = [Segment(text, SORTED if here else HEADING) for text, here in stretches]
        return Strip(segments).adjust_cell_length(self.size.width, HEADING)

    def render_line(self, y: int) -> Strip:
        """One line of what was drawn last."""
        width = self.size.width
        return self._strips[y].adjust_cell_length(width) if y < len(self._strips) else Strip.blank(width, Style.null())

    # ---- moving ----------------------------------------------------------------------------------------------------

    def move(self, lines: int) -> None:
        """Move the cursor so many lines down."""
        self.cursor.move(lines)
        self._moved()

    def move_to(self, place: int) -> None:
        """Move the cursor to a line."""
        self.cursor.to(place)
        self._moved()

    def go_to(self, number: int) -> None:
        """Move the cursor to a tag, if it is shown."""
        self.cursor.follow(number)
        self._moved()

    def _moved(self) -> None:
        self._draw()
        self.post_message(self.Moved())

    def on_resize(self) -> None:
        """As many columns and lines as there is room for."""
        self._tag_width = TAG_WIDTH
        self.update()

    def _on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        event.stop()
        self.cursor.scroll(WHEEL)
        self._moved()

    def _on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        event.stop()
        self.cursor.scroll(-WHEEL)
        self._moved()

    async def _on_click(self, event: events.Click) -> None:
        event.stop()
        if event.y == 0:
            cell = self.layout_shown.at(event.x)
            if cell is not None:
                self.post_message(self.Sorted(cell.column, by_change=cell.kind == CHANGE))
            return
        place = self.cursor.top + event.y - 1
        if event.y - 1 < self.cursor.height and place < len(self.cursor.ids):
            self.move_to(place)
            if event.chain > 1:
                self.post_message(self.Opened())
