"""Names by number, one table per machine."""

import pytest

from poolsleuth.evidence.counters.blg import titles
from poolsleuth.evidence.counters.blg.titles import MAX_TITLE, Titles


def record(*parts: str) -> bytes:
    return "".join(part + "\0" for part in parts).encode("utf-16-le")


def test_tables_of_two_machines() -> None:
    known = Titles()
    known.add(record("\\\\ALPHA", "4", "Memory", "3000", "Own"))
    known.add(record("\\\\BETA", "4", "Arbeitsspeicher"))
    known.add(record("\\\\ALPHA", "58", "Pool Nonpaged Bytes"))

    assert known.name("alpha", 4) == "Memory"
    assert known.name("BETA", 4) == "Arbeitsspeicher"
    assert known.name("ALPHA", 58) == "Pool Nonpaged Bytes"
    # Numbers of the base mean the same everywhere; later ones are each machine's own
    assert known.name("BETA", 58) == "Pool Nonpaged Bytes"
    assert known.name("BETA", 3000) is None
    assert known.name(None, 952) == "Handle Count"


def test_hostile_titles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(titles, "MAX_TITLES", 5)
    known = Titles()
    known.add(b"\x00\xd8" * 9)  # halves of characters
    known.add(record("\\\\A", "x", "no", "-4", "no", "9" * 30, "no", "", "no", "7", "", "8", "a\x1b[31mb"))
    known.add(record("\\\\A", "9", "y" * 9999, *[part for n in range(10, 20) for part in (str(n), f"t{n}")]))

    assert known.name("A", 4) == "Memory"
    assert known.name("A", 8) == "a\ufffd[31mb"
    assert known.name("A", 9) == "y" * MAX_TITLE
    assert (known.name("A", 12), known.name("A", 19)) == ("t12", None)
