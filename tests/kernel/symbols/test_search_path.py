"""The notation of symbol paths, as the documentation of Microsoft's debuggers gives it."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poolsleuth.kernel.symbols.search_path import MAX_ENTRIES, MAX_LEVELS, Chain, Place, parse_search_path

URL = "https://msdl.microsoft.com/download/symbols"
on_posix = pytest.mark.skipif(os.name == "nt", reason="paths of Windows on another system")


@pytest.mark.parametrize(
    ("text", "entries"),
    [
        ("", ()),
        (" ; ;", ()),
        ("/symbols", (Place(Path("/symbols")),)),
        ('"/my symbols" ; relative/folder', (Place(Path("/my symbols")), Place(Path("relative/folder")))),
        (f"srv*/a*{URL}", (Chain((Path("/a"), URL)),)),
        (f"SRV*/a*/b*{URL}/", (Chain((Path("/a"), Path("/b"), URL)),)),
        ("srv*/a", (Chain((Path("/a"),)),)),
        ("srv*/a*/b", (Chain((Path("/a"), Path("/b"))),)),
        (f"srv*{URL}", (Chain((None, URL)),)),
        (f"srv**{URL}", (Chain((None, URL)),)),
        (f"srv*/a**{URL}", (Chain((Path("/a"), None, URL)),)),
        (URL, (Chain((None, URL)),)),
        (f"symsrv*symsrv.dll*/a*{URL}", (Chain((Path("/a"), URL)),)),
        (f"SymSrv*SymSrv.dll*{URL}", (Chain((None, URL)),)),
        ("cache*/c", (Chain((Path("/c"),)),)),
        ("cache*", (Chain((None,)),)),
        # What stands to the right of cache* is kept in it
        (f"cache*/c;srv*{URL}", (Chain((Path("/c"),)), Chain((Path("/c"), URL)))),
        (f"srv*/a*{URL};cache*/c;/d", (Chain((Path("/a"), URL)), Chain((Path("/c"),)), Place(Path("/d")))),
    ],
)
def test_notation(text: str, entries: tuple[Place | Chain, ...]) -> None:
    found = parse_search_path(text)

    assert (found.entries, found.problems) == (entries, ())


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("srv*", "names no store"),
        ("symsrv*symsrv.dll*", "names no store"),
        ("foo*/a", "foo* is not known"),
        (f"srv*{URL}*/a", "only be the last"),
        (f"srv*{URL}*{URL}", "only be the last"),
        (f"cache*{URL}", "a cache is a folder"),
        ("srv*/a*" + "/b*" * MAX_LEVELS, f"more than {MAX_LEVELS} stores"),
        ("ftp://example.org/symbols", "only http and https"),
        ("http://", "no address"),
        ("srv*/a*http://[broken", "not used"),
        ("http://a b/", "no address"),
        ("x" * 40_000, "longer than"),
        ("a\0b", "longer than"),
    ],
)
def test_what_cannot_be_used_is_said(text: str, says: str) -> None:
    found = parse_search_path(text)

    assert found.entries == ()
    assert len(found.problems) == 1
    assert says in found.problems[0]


def test_one_bad_element_does_not_spoil_the_others() -> None:
    found = parse_search_path("/a;foo*x;/b")

    assert found.entries == (Place(Path("/a")), Place(Path("/b")))
    assert len(found.problems) == 1


def test_the_number_of_elements_is_bounded() -> None:
    found = parse_search_path(";".join(f"/{number}" for number in range(MAX_ENTRIES + 5)))

    assert len(found.entries) == MAX_ENTRIES
    assert "69" in found.problems[0]


@on_posix
def test_paths_of_windows_elsewhere() -> None:
    found = parse_search_path(rf"srv*C:\Symbols*{URL};D:\more;\\server\share;sub\folder")

    # A store that cannot be here becomes the default store: what is downloaded is kept somewhere
    assert found.entries == (Chain((None, URL)), Place(Path("sub/folder")))
    assert [problem.partition(" ")[0] for problem in found.problems] == [r"C:\Symbols", r"D:\more", r"\\server\share"]


@given(st.text(st.sampled_from('srvcache*;:/\\.htp "~[@\0é'), max_size=60))
def test_any_text_gives_a_path(text: str) -> None:
    found = parse_search_path(text)

    for entry in found.entries:
        if isinstance(entry, Chain):
            assert not any(isinstance(store, str) for store in entry.stores[:-1])
            assert not isinstance(entry.stores[0], str)
