"""``poolsleuth shell``: scripts, a conversation over a pipe, and dumps that cannot be used."""

import io
from collections.abc import Iterator
from pathlib import Path

import pytest

from poolsleuth.cli.main import main
from poolsleuth.cli.shell import _Working
from poolsleuth.lab.catalogue import windows_named
from poolsleuth.lab.containers.kinds import DumpKind
from poolsleuth.lab.simulate import simulate
from poolsleuth.lab.stories import make_machine, small_size


@pytest.fixture(scope="module")
def dump(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("dump") / "MEMORY.DMP"
    simulate(make_machine(windows_named("19041-x64"), size=small_size())).write(path, DumpKind.BITMAP_KERNEL)
    return path


def run(*arguments: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main(["shell", *arguments])
    printed = capsys.readouterr()
    return int(ended.value.code or 0), printed.out, printed.err


def test_a_script(dump: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = run(str(dump), "--offline", "-c", "vertarget; !vm 1", "-c", "q; lm", "-c", "lm", capsys=capsys)
    assert (status, err) == (0, "")
    prompts = [line for line in out.splitlines() if line.startswith("0: kd>")]
    assert prompts == ["0: kd> vertarget", "0: kd> !vm 1", "0: kd> q"]
    assert "Windows 10 2004 Kernel Version 19041 MP" in out


def test_what_it_prints_is_evidence(dump: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    _, out, _ = run(str(dump), "--offline", "-c", "vertarget; !vm; !poolused 2; lm", capsys=capsys)
    log = tmp_path / "log.txt"
    log.write_text(out, encoding="utf-8")
    with pytest.raises(SystemExit) as ended:
        main(["diagnose", str(log)])
    assert ended.value.code in (0, 1)
    assert "Windows 10 2004" in capsys.readouterr().out


def test_commands_from_a_pipe(dump: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("? 1\n\nnonsense\n.time\n"))
    status, out, _ = run(str(dump), "--offline", capsys=capsys)
    assert status == 0
    lines = out.splitlines()
    assert lines[:2] == ["0: kd> ? 1", "Evaluate expression: 1 = 00000000`00000001"]
    assert any(line.startswith("there is no command 'nonsense'") for line in lines)
    assert any(line.startswith("System Uptime: ") for line in lines)


def test_ctrl_c_ends_a_command_and_ctrl_d_the_shell(
    dump: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    typed: Iterator[str | BaseException] = iter(["? 1", KeyboardInterrupt(), "x nt!*", "? 2", EOFError()])

    def ask(_prompt: str = "") -> str:
        line = next(typed)
        if isinstance(line, BaseException):
            raise line
        return line

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("sys.stdin", Terminal())
    monkeypatch.setattr("builtins.input", ask)
    monkeypatch.setattr("poolsleuth.debugger.commands.symbols._how_many", interrupted)
    status, out, _ = run(str(dump), "--offline", capsys=capsys)
    assert status == 0
    assert "Evaluate expression: 1" in out
    assert "*** interrupted" in out
    assert "Evaluate expression: 2" in out
    assert "help says which commands there are" in out


def test_the_verdict_is_that_of_diagnose(dump: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(str(dump), "--offline", "-c", "!analyze; !analyze -v", capsys=capsys)
    assert status == 0
    short, _, long = out.partition("0: kd> !analyze -v")
    for text in (short, long):
        assert "Bugcheck Analysis" in text
        assert "Pool verdict of poolsleuth:" in text
        assert "Nothing found: " in text
    assert "ruled out" in long
    assert len(long) > len(short)
    assert all(len(line) <= 80 for line in long.partition("Pool verdict")[2].splitlines())


def test_long_commands_say_how_far_they_are(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    moment = iter(range(100))
    monkeypatch.setattr("poolsleuth.cli.shell.time.monotonic", lambda: next(moment))
    working = _Working()
    working.begin()
    working.tell("pool pages", 4096)
    working.clear()
    working.clear()
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err == "\r(pool pages: 4,096 - Ctrl-C stops)\r" + " " * 34 + "\r"


@pytest.mark.parametrize("content", [b"", b"PAGEDU64", b"hello world" * 1000])
def test_what_is_no_dump(content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "x.dmp"
    path.write_bytes(content)
    status, out, err = run(str(path), "--offline", "-c", "!vm", capsys=capsys)
    assert (status, out) == (2, "")
    assert err.startswith(f"poolsleuth: {path}: ")
    assert err.count("\n") == 1


def test_a_file_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, _, err = run(str(tmp_path / "none.dmp"), "-c", "!vm", capsys=capsys)
    assert status == 2
    assert "No such file" in err
    assert run(str(tmp_path), "-c", "!vm", capsys=capsys)[0] == 2
