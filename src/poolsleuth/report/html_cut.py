"""How much of a report the HTML page takes, cut until the page fits its budget."""

from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True)
class Cut:
    """How much of the report the page takes.

    ``rows`` are the tag rows, ``drivers`` those of the drivers, ``lines`` and ``points`` those of the charts, of all
    machines together.
    """

    rows: int
    drivers: int
    machines: int
    index: int
    findings: int
    reasons: int
    text: int
    inputs: int
    problems: int
    sessions: int
    lines: int
    points: int

    def tighter(self) -> "Cut":
        """The next smaller page."""
        return Cut(*(max(least, size * 2 // 3) for least, size in zip(_values(_LEAST), _values(self), strict=True)))

    @property
    def smallest(self) -> bool:
        """True when nothing more can be cut. Such a page is far below the budget for any report."""
        return self == _LEAST

    @property
    def live(self) -> bool:
        """True while the charts are worth the script that draws them; below that they are pictures only."""
        return self.points >= _LIVE_POINTS


def _values(cut: Cut) -> list[int]:
    return [getattr(cut, field.name) for field in fields(cut)]


_LIVE_POINTS = 8_000  # their figures then weigh about as much as the script
BASE_CUT = Cut(
    rows=4000,
    drivers=600,
    machines=60,
    index=1000,
    findings=60,
    reasons=20,
    text=2000,
    inputs=300,
    problems=300,
    sessions=60,
    lines=240,
    points=40_000,
)
_LEAST = Cut(
    rows=0,
    drivers=0,
    machines=2,
    index=20,
    findings=3,
    reasons=2,
    text=120,
    inputs=5,
    problems=5,
    sessions=3,
    lines=0,
    points=0,
)
