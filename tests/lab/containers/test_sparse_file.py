import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poolsleuth.lab.containers.sparse_file import new_file, page_count, without


@given(st.sets(st.integers(0, 60)), st.sets(st.integers(0, 60)))
def test_runs_without_single_pages(there: set[int], left_out: set[int]) -> None:
    runs = [(number, 1) for number in sorted(there)] if len(there) % 2 else [(0, 20), (30, 25)]
    pages = {number for base, count in runs for number in range(base, base + count)}
    kept = without(runs, left_out)
    assert [number for base, count in kept for number in range(base, base + count)] == sorted(pages - left_out)
    assert page_count(kept) == len(pages - left_out)


def fail(path: Path) -> None:
    with new_file(path) as file:
        file.write(b"half")
        raise RuntimeError("the disk is full")


def race(path: Path) -> None:
    with new_file(path) as file:
        file.write(b"ours")
        path.write_bytes(b"theirs")


def test_a_failure_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="disk"):
        fail(tmp_path / "a")
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_came_meanwhile_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "a"
    with pytest.raises(FileExistsError):
        race(path)
    assert path.read_bytes() == b"theirs"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_system_without_links_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_links(source: Path, target: Path) -> None:
        raise OSError("links are not supported")

    monkeypatch.setattr(os, "link", no_links)
    path = tmp_path / "a"
    with new_file(path) as file:
        file.write(b"ours")
    assert path.read_bytes() == b"ours"
    assert list(tmp_path.iterdir()) == [path]
    other = tmp_path / "b"
    with pytest.raises(FileExistsError, match="exists already"):
        race(other)
    assert other.read_bytes() == b"theirs"
