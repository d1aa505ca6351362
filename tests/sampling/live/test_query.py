"""Buffers that grow, and what Windows says where it gives nothing."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from numpy.typing import NDArray

from poolsleuth.sampling.live import ntdll, query
from poolsleuth.sampling.live.query import Asker, Question, RefusedError, Status
from poolsleuth.sampling.live.system import Identity

if TYPE_CHECKING:
    from sampling.conftest import FakeWindows

TABLE = Question(22, "the pool tags", 100)


class Answers:
    """A Windows whose answer is so long, and that says so or not."""

    wide = True
    identity = Identity()

    def __init__(self, length: int, *, status: int = Status.INFO_LENGTH_MISMATCH, says: bool = True) -> None:
        self.length, self.status, self.says = length, status, says
        self.lengths: list[int] = []
        self.addresses: list[int] = []

    def query(self, info_class: int, buffer: NDArray[np.uint8]) -> tuple[int, int]:
        assert not buffer[:16].any(), "an earlier answer stands where a question might"
        self.lengths.append(len(buffer))
        self.addresses.append(buffer.ctypes.data)
        if len(buffer) < self.length:
            return self.status, self.length if self.says else 0
        buffer[: self.length] = 7
        return 0, self.length if self.says else 0

    def allow_debugging(self) -> bool:
        return False


@pytest.mark.parametrize("status", [Status.INFO_LENGTH_MISMATCH, Status.BUFFER_TOO_SMALL, Status.BUFFER_OVERFLOW])
def test_a_buffer_grows_to_what_is_needed(status: Status) -> None:
    windows = Answers(1_000_000, status=status)
    answer = Asker(windows).ask(TABLE)
    assert len(answer) == 1_000_000
    assert len(windows.lengths) == 2
    assert 1_000_000 < windows.lengths[1] < 1_200_000  # with room for what comes meanwhile


def test_a_buffer_doubles_where_nothing_says_how_much() -> None:
    windows = Answers(1_000, says=False)
    answer = Asker(windows).ask(TABLE)
    assert windows.lengths == [100, 200, 400, 800, 1600]
    assert len(answer) == 1_600  # Windows does not say how much of it is used


def test_a_table_that_grows_all_the_time_ends() -> None:
    class Growing(Answers):
        def query(self, info_class: int, buffer: NDArray[np.uint8]) -> tuple[int, int]:
            self.length = len(buffer) + 1
            return super().query(info_class, buffer)

    windows = Growing(0)
    with pytest.raises(RefusedError, match="no buffer was long enough in 12 attempts"):
        Asker(windows).ask(TABLE)
    assert len(windows.lengths) == query.MAX_TRIES


@pytest.mark.parametrize("needed", [2**32 - 1, 300 << 20])
def test_a_buffer_is_bounded(needed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(query, "MAX_BUFFER_BYTES", 1 << 20)
    windows = Answers(needed)
    with pytest.raises(RefusedError, match="takes more than 1 MB"):
        Asker(windows).ask(TABLE)
    assert max(windows.lengths) == 1 << 20


def test_no_memory_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(np, "zeros", none)
    with pytest.raises(RefusedError, match="there is no memory for 100 bytes"):
        Asker(Answers(50)).ask(TABLE)


def test_the_buffer_is_kept_for_the_next_sample() -> None:
    windows = Answers(5_000)
    asker = Asker(windows)
    first = asker.ask(TABLE).ctypes.data
    assert asker.ask(TABLE).ctypes.data == first
    assert windows.lengths == [100, windows.lengths[1], windows.lengths[1]]
    asker.ask(TABLE, keep=False)
    asker.ask(TABLE)
    assert windows.lengths[4] == 100


def test_what_was_refused_is_asked_again(fake_windows: "type[FakeWindows]") -> None:
    windows = fake_windows()
    asker = Asker(windows)
    windows.refuse[22] = Status.INSUFFICIENT_RESOURCES
    with pytest.raises(RefusedError, match="has no memory left"):
        asker.ask(query.POOL_TAGS)
    del windows.refuse[22]
    assert len(asker.ask(query.POOL_TAGS)) == 8


def test_structures_are_asked_with_their_length(fake_windows: "type[FakeWindows]") -> None:
    for wide in (True, False):
        windows = fake_windows(wide=wide)
        asker = Asker(windows)
        asker.ask(query.basic_question(wide))
        asker.ask(query.PERFORMANCE)
        asker.ask(query.CLOCK)
        assert windows.asked == [(0, 64 if wide else 44), (2, 376), (3, 48)]


class Exact(Answers):
    """Takes one length only."""

    def query(self, info_class: int, buffer: NDArray[np.uint8]) -> tuple[int, int]:
        self.lengths.append(len(buffer))
        return (0, len(buffer)) if len(buffer) == self.length else (self.status, self.length if self.says else 0)


@pytest.mark.parametrize("says", [True, False])
@pytest.mark.parametrize("length", [376, 344, 312])
def test_structures_of_other_windows_are_tried(length: int, says: bool) -> None:
    windows = Exact(length, says=says)
    assert len(Asker(windows).ask(query.PERFORMANCE)) == length
    assert len(Asker(Exact(400)).ask(query.PERFORMANCE)) == 400  # of a Windows to come, that says so


@pytest.mark.parametrize("length", [500, 1 << 30])
def test_a_structure_of_no_known_length_is_refused(length: int) -> None:
    windows = Exact(length, says=length > 500)
    with pytest.raises(RefusedError, match="it takes no buffer of 312, 344, 376 bytes"):
        Asker(windows).ask(query.PERFORMANCE)


@pytest.mark.parametrize(
    ("status", "sentence", "missing"),
    [
        (
            0xC0000022,
            "Windows does not give the pool tags (class 22): access is denied (status 0xC0000022), and "
            "SeDebugPrivilege is not held: run it in a console started as administrator.",
            False,
        ),
        (
            0xC0000061,
            "Windows does not give the pool tags (class 22): a privilege is missing (status 0xC0000061), and "
            "SeDebugPrivilege is not held: run it in a console started as administrator.",
            False,
        ),
        (
            0xC0000003,
            "Windows does not give the pool tags (class 22): this Windows does not have them (status 0xC0000003).",
            True,
        ),
        (
            0xC0000002,
            "Windows does not give the pool tags (class 22): this Windows does not have them (status 0xC0000002).",
            True,
        ),
        (
            0xC000012D,
            "Windows does not give the pool tags (class 22): it has no memory left for the answer (status 0xC000012D).",
            False,
        ),
        (0xC0000005, "Windows does not give the pool tags (class 22): status 0xC0000005.", False),
        (0x80000002, "Windows does not give the pool tags (class 22): status 0x80000002.", False),
    ],
)
def test_a_refusal_is_one_sentence(status: int, sentence: str, missing: bool) -> None:
    with pytest.raises(RefusedError) as caught:
        Asker(Answers(200, status=status)).ask(TABLE)
    assert str(caught.value) == sentence
    assert caught.value.missing is missing
    assert caught.value.status == status


def test_the_privilege_is_enabled_when_it_is_needed(fake_windows: "type[FakeWindows]") -> None:
    windows = fake_windows()
    asker = Asker(windows)
    asker.ask(query.PROCESSES)
    assert not windows.debugging
    windows.needs_privilege = {22}
    assert len(asker.ask(query.POOL_TAGS)) == 8
    assert windows.debugging
    assert [number for number, _ in windows.asked] == [5, 22, 22]
    windows.refuse[67] = Status.ACCESS_DENIED
    for _ in range(2):
        with pytest.raises(RefusedError, match="access is denied although SeDebugPrivilege is enabled"):
            asker.ask(query.SESSION_TAGS)
    assert [number for number, _ in windows.asked[3:]] == [67, 67]


def test_a_privilege_that_is_not_held_is_tried_once(fake_windows: "type[FakeWindows]") -> None:
    windows = fake_windows()
    windows.privileged = False
    windows.needs_privilege = {22}
    asker = Asker(windows)
    for _ in range(2):
        with pytest.raises(RefusedError, match="SeDebugPrivilege is not held: run it in a console started as admin"):
            asker.ask(query.POOL_TAGS)
    assert [number for number, _ in windows.asked] == [22, 22]


def test_the_script_of_the_documentation_writes_the_answers(
    fake_windows: "type[FakeWindows]",
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    windows = fake_windows()
    windows.tag(b"Leak", nonpaged=(3, 1, 64))
    monkeypatch.setattr(ntdll, "open_system", lambda: windows)
    monkeypatch.chdir(tmp_path)
    page = (Path(__file__).parents[3] / "docs" / "live.md").read_text(encoding="utf-8")
    exec(page.split("```python\n")[1].split("```")[0], {})
    assert (tmp_path / "class22.bin").read_bytes() == windows.answer(22, 0)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["class2.bin", "class22.bin", "class67.bin"]
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "26100 x64"
    assert "(class 255): this Windows does not have them" in said[1]
