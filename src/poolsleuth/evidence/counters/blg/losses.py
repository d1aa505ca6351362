"""What could not be read of a log, counted by kind: a damaged log of any size gives one sentence per kind."""

from enum import Enum

from poolsleuth.model.facts import Problem, Where

MAX_DETAILS = 6  # numbers or names said per kind of loss
MAX_DETAIL = 40  # characters of one of them


class Loss(Enum):
    """A kind of loss: the noun that is counted, and what happened to it."""

    CUT = ("buffer", "could not be read: the file is cut off")
    BUFFER = ("buffer", "could not be used: the header is damaged")
    EVENT = ("event", "could not be read: the log is damaged")
    FOREIGN = ("event", "could not be used: not a record of this counter log")
    RECORD = (
        "record",
        "could not be put together: parts are missing (the log is damaged or cut off, or it is circular and the parts"
        " were written over)",
    )
    LOST = ("event", "could not be written when the log was recorded, as the log itself says")
    UNLISTED = ("sample", "could not be read: the list of counters is lost")
    TIME = ("sample", "could not be dated: the time is damaged")
    BACKWARDS = (
        "sample",
        "could not be placed in time: later in the log than its time says (the clock was set back, or damage)",
    )
    BLOCK = ("block of values", "could not be read: the log is damaged")
    KIND = ("block of values", "could not be read: of a kind that is not known")
    OBJECT = ("performance object", "could not be read: the log is damaged")
    ENTRY = ("counter", "could not be read from the list of counters: the list is damaged")
    TYPE = ("counter", "could not be shown: the counter type is not known")
    STATUS = ("value", "could not be collected when the log was recorded: Windows noted an error")
    FELL = ("value", "could not be calculated: the raw value fell (a restart, or a counter that was reset or wrapped)")
    INVERSE = ("value", "could not be used: an idle-time counter came out below 0 %")
    TITLES = ("name", "could not be found in the log's list of names, and is shown as a number")
    COLUMNS = ("counter", "could not be kept: the log holds more than this version reads")

    def sentence(self, count: int, details: str) -> str:
        """The loss as one sentence."""
        noun, what = self.value
        first, _, rest = noun.partition(" ")
        if rest.startswith("of "):
            noun = f"{first}{'s' if count != 1 else ''} {rest}"
        elif count != 1:
            noun += "s"
        return f"{count:,} {noun} {what}{details}"


class Losses:
    """Counts losses. ``problems`` gives one problem per kind, with the place of the first where that is known."""

    def __init__(self, input_index: int) -> None:
        self._input = input_index
        self._counts: dict[Loss, int] = {}
        self._first: dict[Loss, int | None] = {}
        self._details: dict[Loss, dict[str, None]] = {}
        self._said: list[Problem] = []

    def add(self, loss: Loss, count: int = 1, *, offset: int | None = None, detail: str | None = None) -> None:
        """Count ``count`` losses, the first of them ``offset`` bytes from the start of the file."""
        if count <= 0:
            return
        self._counts[loss] = self._counts.get(loss, 0) + count
        self._first.setdefault(loss, offset)
        if detail is not None:
            details = self._details.setdefault(loss, {})
            if len(details) <= MAX_DETAILS:
                details[detail[:MAX_DETAIL]] = None

    def say(self, says: str) -> None:
        """Keep a sentence that is no count."""
        self._said.append(Problem(says, Where(self._input)))

    def problems(self) -> list[Problem]:
        """One problem per kind of loss."""
        return self._said + [
            Problem(loss.sentence(count, self._details_of(loss)), Where(self._input, offset=self._first[loss]))
            for loss, count in self._counts.items()
        ]

    def _details_of(self, loss: Loss) -> str:
        details = list(self._details.get(loss, ()))
        if not details:
            return ""
        more = ", ..." if len(details) > MAX_DETAILS else ""
        return f" ({', '.join(details[:MAX_DETAILS])}{more})"
