"""Who may have asked for memory that bears a tag of Windows: the importers of what one asks with."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from poolsleuth.model.facts import Reason, Where
from poolsleuth.model.finding import Confidence
from poolsleuth.model.module_search import ModuleSearch
from poolsleuth.patterns.makers import MAX_NAMED, Makers
from poolsleuth.patterns.wording import plural

_MOST_WINDOWS = 3  # parts of Windows that a sentence names


class Place(Protocol):
    """Where an import was found."""

    @property
    def slot(self) -> int:
        """The address of the place that holds the routine's address."""

    @property
    def where(self) -> Where:
        """Where the evidence says so."""


def importing(
    tag: str,
    found: Mapping[str, Sequence[tuple[Place, str]]],
    windows: Sequence[str],
    searches: Sequence[ModuleSearch],
) -> Makers | None:
    """Who imports what takes memory of this tag; None when nobody looked.

    ``found`` are modules with the places of their imports and the routines, the likeliest first; ``windows`` those of
    them that are parts of Windows. An import shows who can have asked, not who did: nobody is named for certain.
    """
    if not found and not searches:
        return None
    third = [name for name in found if name not in windows]
    because = []
    for name in third[:MAX_NAMED]:
        place, routine = found[name][0]
        more = f" and {plural(len(found[name]) - 1, 'routine')} of its kind" if len(found[name]) > 1 else ""
        because.append(Reason(f"{name} imports {routine}{more} (at 0x{place.slot:x})", place.where))
    if windows:
        names = ", ".join(windows[:_MOST_WINDOWS]) + (
            f" and {len(windows) - _MOST_WINDOWS:,} more" if len(windows) > _MOST_WINDOWS else ""
        )
        because.append(Reason(f"parts of Windows import it, too ({names}): they take such memory for other drivers"))
    search = searches[0] if searches else None
    if search is not None and not found:
        because.append(
            Reason(f"none of the {search.modules:,} loaded modules was seen to import {search.symbol}", search.where)
        )
    against = []
    if third:
        against.append(Reason(f"an import shows who can ask for memory of tag {tag}, not who did"))
    if search is not None and not search.complete and third:
        count = plural(len(search.unseen), "module")
        against.append(
            Reason(f"the import tables of {count} could not be read: they may import it, too", search.where)
            if search.unseen
            else Reason("where the routine lies, or the list of modules, is not fully known", search.where)
        )
    drivers = tuple(third[:MAX_NAMED])
    confidence = None
    if drivers:
        confidence = Confidence.MEDIUM if len(found) == 1 and search is not None else Confidence.LOW
    return Makers(tag, drivers, confidence, tuple(because), tuple(against), shared=len(found) > 1, by_import=True)
