"""What the tests of evidence share: a writer of poolmon text."""

from collections.abc import Callable, Sequence

import pytest

PoolmonRow = tuple[str, str, int, int, int]
"""Tag, pool ("Nonp" or "Paged"), allocations, frees, bytes."""
PoolmonWriter = Callable[..., str]

_HEADER = (
    " Memory:{physical}K Avail:26121028K  PageFlts:901597864   InRam Krnl:76500K P:4130272K\n"
    " Commit:35762700K Limit:64575904K Peak:43634092K            Pool N:{nonpaged}K P:4427892K\n"
)


@pytest.fixture(scope="session")
def poolmon_text() -> PoolmonWriter:
    """``poolmon_text(rows, date=None, ...)``: one snapshot as poolmon writes it, ``date`` on a line before it.

    ``changes``: a copy of the screen, with the changes in parentheses; ``drivers``: with mapped drivers;
    ``section``: the line that names the pools; ``physical`` and ``nonpaged``: figures of the header lines in KB,
    ``physical`` None leaves both lines out.
    """

    def write(
        rows: Sequence[PoolmonRow],
        date: str | None = None,
        *,
        changes: bool = False,
        drivers: bool = False,
        section: str | None = "System pool information",
        physical: int | None = 33_473_120,
        nonpaged: int = 2_275_124,
    ) -> str:
        lines = [f"\n{date}\n\n"] if date is not None else []
        if physical is not None:
            lines.append(_HEADER.format(physical=physical, nonpaged=nonpaged))
        if section is not None:
            lines.append(f" {section}\n")
        lines.append(" Tag  Type     Allocs            Frees            Diff   Bytes       Per Alloc\n\n")
        for tag, pool, allocs, frees, size in rows:
            difference = allocs - frees if allocs >= frees else allocs - frees + (1 << 32)
            each = size // difference if difference else 0
            if changes:
                numbers = (
                    f"{allocs:10} ({allocs % 9:4}) {frees:10} ({frees % 7:4}) {difference:8} {size:7}"
                    f" ({-(size % 500):6}) {each:6}"
                )
            else:
                numbers = f"{allocs:18} {frees:18} {difference:17} {size:14} {each:16}"
            driver = " [ntfs.sys  -  AttrSup.c]" if drivers else ""
            lines.append(f" {tag:<4} {pool:<5} {numbers}{driver}\n")
        return "".join(lines)

    return write
