"""Names of counters on localised Windows."""

import re
from pathlib import Path

import pytest

from poolsleuth.windows.counter_languages import NAMES, PERFLIB, TRANSLATIONS, Confidence
from poolsleuth.windows.counters import known

ENGLISH = Path(__file__).parents[3] / "shared" / "data" / "counters" / "PAL_SampleLog.blg"
POOLS = {("memory", "pool nonpaged bytes"), ("memory", "pool paged bytes")}


@pytest.mark.parametrize(
    ("object_", "counter", "expected"),
    [
        # Index and name of a German perflib list: 58 Nicht-Auslagerungsseiten (Bytes), 952 Handleanzahl
        ("Arbeitsspeicher", "Nicht-Auslagerungsseiten (Bytes)", ("memory", "pool nonpaged bytes")),
        ("Prozess", "Handleanzahl", ("process", "handle count")),
        ("Speicher", "Zusagegrenze", ("memory", "commit limit")),
        # Get-Counter "\Mémoire\Octets de réserve non paginée"
        ("Mémoire", "Octets de réserve non paginée", ("memory", "pool nonpaged bytes")),
        ("Système", "Temps d'activité système", ("system", "system up time")),
        # Zabbix: Память\Байт в невыгружаемом страничном пуле is perf_counter["\4\58"]
        ("Память", "Байт в невыгружаемом страничном пуле", ("memory", "pool nonpaged bytes")),
        ("Memoria", "Bytes de bloque no paginado", ("memory", "pool nonpaged bytes")),
        ("Memoria", "Byte del pool non di paging", ("memory", "pool nonpaged bytes")),
        ("Memória", "Bytes de pool não paginável", ("memory", "pool nonpaged bytes")),
    ],
)
def test_names_that_were_seen(object_: str, counter: str, expected: tuple[str, str]) -> None:
    assert TRANSLATIONS[object_.casefold(), counter.casefold()] == expected


def test_every_row_leads_to_a_counter_in_use() -> None:
    for row in NAMES:
        assert known(row.object, row.counter) is not None, row
        assert known(*row.english) == known(row.object, row.counter)


def test_no_name_has_two_meanings() -> None:
    meanings: dict[tuple[str, str], set[tuple[str, str]]] = {}
    for row in NAMES:
        meanings.setdefault((row.object.casefold(), row.counter.casefold()), set()).add(row.english)
    assert [name for name, found in meanings.items() if len(found) > 1] == []


def test_both_pools_are_told_apart_in_every_language_that_has_one() -> None:
    for language in {row.language for row in NAMES}:
        found = {row.english for row in NAMES if row.language == language} & POOLS
        assert len(found) != 1, language


def test_listed_names_are_complete_for_the_pools() -> None:
    for language in {row.language for row in NAMES if row.confidence is Confidence.LISTED}:
        listed = {row.english for row in NAMES if row.language == language and row.confidence is Confidence.LISTED}
        assert listed >= POOLS | {("memory", "commit limit"), ("memory", "available bytes")}


def test_perflib_indexes_are_even_and_unique() -> None:
    assert len(set(PERFLIB.values())) == len(PERFLIB)
    assert all(index % 2 == 0 for index in PERFLIB.values())


def test_perflib_indexes_are_those_of_a_real_log() -> None:
    """The titles in a .blg are pairs of number and name, each ended by a NUL."""
    if not ENGLISH.is_file():
        pytest.skip(f"{ENGLISH.name} is not there")
    pair = re.compile(rb"((?:[0-9]\x00){1,5})\x00\x00((?:[^\x00]\x00){2,80})\x00\x00")
    titles = {
        int(number.decode("utf-16-le")): name.decode("utf-16-le").lower()
        for number, name in pair.findall(ENGLISH.read_bytes())
    }
    assert {name: titles.get(index) for name, index in PERFLIB.items()} == {name: name for name in PERFLIB}
