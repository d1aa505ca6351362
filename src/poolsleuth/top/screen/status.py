"""The bottom line: a message, or what is left out, or the keys; and at the right how many lines there are."""

from dataclasses import dataclass

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip
from textual.widget import Widget

from poolsleuth.report.wording import clean
from poolsleuth.top.screen.colours import KEY, MESSAGE, PLAIN, TITLE
from poolsleuth.top.screen.keys import BRIEF, BRIEF_END, BRIEF_TIME


@dataclass(frozen=True, slots=True)
class Said:
    """What the line says. ``message`` and ``filters`` are made harmless when drawn; ``place`` is ``1-15 of 312``."""

    message: str = ""
    filters: str = ""
    place: str = ""
    replay: bool = False


def status_line(said: Said, width: int) -> list[Segment]:
    """The line, exactly as wide: a message goes before what is left out, that before the keys."""
    place = set_cell_size(said.place, min(cell_len(said.place), max(0, width - 10)))
    if said.message and cell_len(said.message) + cell_len(place) + 3 > width:
        place = ""  # a message is there for some seconds only, and says what was asked for
    room = max(0, width - cell_len(place) - 2)
    if said.message:
        left = [Segment(f" {clean(said.message)}", MESSAGE)]
    elif said.filters:
        left = [Segment(f" {said.filters}", TITLE), Segment("  c", KEY), Segment(" shows all", PLAIN)]
    else:
        left = _keys(room, replay=said.replay)
    line: list[Segment] = []
    for segment in left:
        text = segment.text if cell_len(segment.text) <= room else set_cell_size(segment.text, room)
        room -= cell_len(text)
        line += [Segment(text, segment.style)] if text else []
    return [*line, Segment(" " * room + (f" {place} " if place else "  "), PLAIN)]


def _keys(room: int, *, replay: bool) -> list[Segment]:
    """The keys that matter most, as many as have room; help and the way out before all others."""
    wanted = (*BRIEF, *(BRIEF_TIME if replay else BRIEF_TIME[:1]), *BRIEF_END)
    there = set()
    for place in sorted(range(len(wanted)), key=lambda place: (wanted[place][0] not in ("h", "q"), place)):
        size = len(wanted[place][0]) + len(wanted[place][1]) + 3
        if size > room:
            break
        there.add(place)
        room -= size
    segments: list[Segment] = []
    for place in sorted(there):
        key, word = wanted[place]
        segments += [Segment(f" {key}", KEY), Segment(f" {word} ", PLAIN)]
    return segments


class Status(Widget):
    """Draws the bottom line."""

    DEFAULT_CSS = "Status { height: 1; width: 100%; dock: bottom; }"

    def __init__(self) -> None:
        super().__init__()
        self._said = Said()

    def show(self, said: Said) -> None:
        """Something else to say."""
        if said != self._said:
            self._said = said
            self.refresh()

    def render_line(self, y: int) -> Strip:
        """The line."""
        width = self.size.width
        return Strip(status_line(self._said, width) if y == 0 else []).adjust_cell_length(width, Style.null())
