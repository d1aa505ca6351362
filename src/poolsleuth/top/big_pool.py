"""How much of a tag lies in big allocations (of a page and more), asked of a running Windows beside the screen."""

from collections.abc import Callable
from threading import Thread
from typing import Protocol, runtime_checkable

from poolsleuth.model.errors import InputError
from poolsleuth.model.series import TagKey
from poolsleuth.report.wording import bytes_text, plural, short
from poolsleuth.top.detail_words import Says

_MAX_ERROR = 300  # characters


class BigSums(Protocol):
    """Big allocations summed by tag and pool, as ``sampling.live.tag_tables.BigPool``."""

    @property
    def note(self) -> str | None:
        """What is missing of them, in one sentence."""

    @property
    def hidden(self) -> bool:
        """Whether the pool that an allocation is in is not told."""

    def of(self, key: TagKey) -> tuple[int, int] | None:
        """Blocks and bytes of a tag; None where it has none."""


@runtime_checkable
class HasBigPool(Protocol):
    """A sampler that can be asked for them, from any thread."""

    def big_pool(self) -> BigSums:
        """All of them as of now. Raises InputError."""


class BigPools:
    """The answer of a running Windows, for all tags. It takes a quarter of a second per million allocations.

    ``answer`` or ``error`` are of the last question that ended; both are None before. ``asked`` counts the questions
    that have ended.
    """

    def __init__(self, ask: Callable[[], BigSums]) -> None:
        self.answer: BigSums | None = None
        self.error: str | None = None
        self.asked = 0
        self.under_way = False
        self._ask = ask

    def ask(self) -> None:
        """Ask in a thread that does not keep the program from ending; not while it is being asked."""
        if self.under_way:
            return
        self.under_way = True
        Thread(target=self._run, name="big-pool", daemon=True).start()

    def _run(self) -> None:
        try:
            self.answer, self.error = self._ask(), None
        except InputError as error:
            self.answer, self.error = None, str(error)
        except Exception as error:  # the screen stays, and says what it was
            self.answer, self.error = None, f"the big allocations could not be asked for: {error!r}"
        finally:
            self.asked += 1
            self.under_way = False


def big_says(big: BigPools, key: TagKey) -> Says | None:
    """One line about a tag; None for a tag of a session's pool, of which Windows is not asked."""
    if key.session is not None:
        return None
    answer, error = big.answer, big.error
    if error is not None:
        return Says(f"big allocations: {short(error, _MAX_ERROR)} (r asks again)", tone="warn")
    if answer is None:
        return Says("asking Windows for the big allocations ...", tone="dim")
    found = answer.of(key)
    both = " of both pools, as Windows does not tell which" if answer.hidden else ""
    if found is None:
        words = "none of these are big allocations (a page and more)"
    else:
        blocks, size = found
        words = f"of these, {plural(blocks, 'block')} and {bytes_text(size)} in big allocations (a page and more{both})"
    more = f"; {short(answer.note, _MAX_ERROR)}" if answer.note and not answer.hidden else ""
    return Says(f"{words}, as of when it was asked (r asks again){more}")


__all__ = ["BigPools", "BigSums", "HasBigPool", "big_says"]
