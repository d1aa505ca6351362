"""Where the cursor is, and which lines are on the screen.

At the first line the cursor stays there, whatever tag comes to it. Once moved, it follows its tag when the order
changes; while the tag is not shown at all, it stays on its line, and goes back to the tag when that is shown again.
"""

import numpy as np

from poolsleuth.sampling.sample import Ids


class Cursor:
    """``ids`` are the numbers of the tags in their order, ``height`` how many lines there is room for."""

    def __init__(self) -> None:
        self.ids: Ids = np.empty(0, np.int64)
        self.height = 1
        self.top = 0  # of the lines on the screen, the first
        self.line = 0
        self._followed: int | None = None

    @property
    def number(self) -> int | None:
        """The tag under the cursor; None when there is none."""
        return int(self.ids[self.line]) if len(self.ids) else None

    def show(self, ids: Ids) -> None:
        """The lines in a new order."""
        self.ids = ids
        if self._followed is not None:
            found = np.flatnonzero(ids == self._followed)
            if len(found):
                self.line = int(found[0])
        self._settle()

    def resize(self, height: int) -> None:
        """Another number of lines on the screen."""
        self.height = max(1, height)
        self._settle()

    def move(self, lines: int) -> None:
        """So many lines down, up when negative."""
        self.to(self.line + lines)

    def to(self, line: int) -> None:
        """To a line; the first one is where it stays."""
        self.line = line
        self._settle()
        self._followed = self.number if self.line > 0 else None

    def scroll(self, lines: int) -> None:
        """Show others of the lines; the cursor stays where it is as long as that is on the screen."""
        self.top = max(0, min(self.top + lines, len(self.ids) - self.height))
        line = min(max(self.line, self.top), self.top + self.height - 1)
        if line != self.line:
            self.to(line)

    def follow(self, number: int) -> None:
        """To a tag, if it is shown."""
        found = np.flatnonzero(self.ids == number)
        if len(found):
            self.to(int(found[0]))

    def _settle(self) -> None:
        self.line = max(0, min(self.line, len(self.ids) - 1))
        self.top = max(0, min(self.top, len(self.ids) - self.height))
        if self.line < self.top:
            self.top = self.line
        elif self.line >= self.top + self.height:
            self.top = self.line - self.height + 1
