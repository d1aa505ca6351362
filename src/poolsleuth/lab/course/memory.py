"""The counters of ``!vm`` over time: they follow the pools, the load and what processes commit."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from poolsleuth.lab.machine import Memory, PageFile

_LEAST_AVAILABLE = 50  # one page of so many is kept available, whatever happens
_USER_AT_REST, _USER_AT_WORK = 0.85, 0.3  # of the usual commit of processes: without load, and what full load adds
_PAGEABLE = 0.7  # of what processes commit, so much lies in memory


class MemoryCourse:
    """The figures of memory. ``private_pages`` is what a process of the course has committed beyond the usual."""

    def __init__(self, first: Memory) -> None:
        self._first = first
        self.physical = first.physical
        self.commit_limit = first.commit_limit or 2 * first.physical
        self.committed = first.committed or 0
        self.peak = first.peak_committed or self.committed
        self.free_ptes = first.free_system_ptes
        self.private_pages = 0
        self._user = max(0, self.committed - (first.nonpaged_used or 0) - (first.paged_used or 0))
        self._nonpaged, self._paged = first.nonpaged_used or 0, first.paged_used or 0
        self._load = 0.0

    def settle(self, nonpaged: int, paged: int, load: float) -> None:
        """The pools take up so many pages now."""
        self._nonpaged, self._paged, self._load = nonpaged, paged, load
        self.committed = min(self.commit_limit - 3, nonpaged + paged + self._processes())
        self.peak = max(self.peak, self.committed)

    def room_to_commit(self) -> int:
        """Pages that can still be committed."""
        return self.commit_limit - 3 - self.committed

    def figures(self, failed: int, by_pool: Sequence[Sequence[int]], reasons: Mapping[str, int]) -> Memory:
        """All figures at this moment."""
        first = self._first
        used = self._nonpaged + self._paged // 2 + int(self._processes() * _PAGEABLE)
        least = self.physical // _LEAST_AVAILABLE
        swapped = max(0, used - (self.physical - least))
        return replace(
            first,
            available=max(least + int(least * 0.2 * (1 - self._load)), self.physical - used),
            resident_available=max(least, self.physical - self._nonpaged - self.physical // 6),
            nonpaged_used=self._nonpaged,
            nonpaged_commit=self._nonpaged,
            paged_used=self._paged,
            paged_commit=self._paged,
            free_system_ptes=self.free_ptes,
            committed=self.committed,
            peak_committed=self.peak,
            modified=int((first.modified or 0) * (0.5 + self._load)),
            pool_failures=failed,
            failures_by_pool=tuple((row[0], row[1], row[2]) for row in by_pool),
            failure_reasons=dict(reasons),
            page_files=tuple(_swapped(first.page_files, swapped)),
        )

    def _processes(self) -> int:
        return int(self._user * (_USER_AT_REST + _USER_AT_WORK * self._load)) + self.private_pages


def _swapped(files: Sequence[PageFile], pages: int) -> list[PageFile]:
    """The first page file holds so many pages more."""
    return [
        replace(file, free_pages=max(0, file.free_pages - pages)) if number == 0 and file.free_pages else file
        for number, file in enumerate(files)
    ]
