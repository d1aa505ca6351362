"""The shell around the commands: lines are cut into commands, the log is written, nothing hostile gets out."""

from collections.abc import Callable
from pathlib import Path

import pytest

from poolsleuth.debugger import shell as shell_module
from poolsleuth.debugger.registry import COMMANDS
from poolsleuth.debugger.shell import MAX_COMMAND, Shell
from poolsleuth.debugger.target import Target

Run = Callable[..., list[str]]


def test_each_command_gets_its_prompt(target_of: Callable[..., Target]) -> None:
    with Shell(target_of("19041-x64")) as shell:
        lines = list(shell.run("? 1; ; ? 2"))
    assert lines == [
        "0: kd> ? 1",
        "Evaluate expression: 1 = 00000000`00000001",
        "",
        "0: kd> ? 2",
        "Evaluate expression: 2 = 00000000`00000002",
        "",
    ]


def test_what_was_typed_is_not_printed_again(target_of: Callable[..., Target]) -> None:
    with Shell(target_of("19041-x64")) as shell:
        assert list(shell.run("? 1", typed=True)) == ["Evaluate expression: 1 = 00000000`00000001"]


def test_a_semicolon_in_quotes_belongs_to_the_text(target_of: Callable[..., Target]) -> None:
    with Shell(target_of("19041-x64")) as shell:
        lines = list(shell.run('s -a nt L?10 "a;b"; ? 1'))
    assert lines[0] == '0: kd> s -a nt L?10 "a;b"'
    assert "0: kd> ? 1" in lines


def test_an_unknown_command_says_what_there_is(run: Run) -> None:
    (sentence,) = run("!analyse -v")
    assert sentence.startswith("there is no command '!analyse'")
    for word in ("!vm", "!poolused", "lm", "dps", "help"):
        assert word in sentence


def test_help_names_every_command(run: Run) -> None:
    text = "\n".join(run("help"))
    assert text == "\n".join(run("?"))
    assert all(command.usage in text and command.says in text for command in COMMANDS)


WRONG = """!vm x|!poolused zz|!poolused 10|!poolused 2 toolong|lm q|lm m|lmv tcpip|!locks -q|!process 9999 0
!process 4 0 x|!process zz|vertarget x|.time 1|db|db 1 L0|dd zz|x|x Pool*|ln|? (|!pool|s|s -d|s -d 0 L?10
s -d 10 5 1|s -a 0 L?10 ""|!for_each_module|!for_each_module s-d 1 2 3|.logopen|!analyze -q|!xpool
!xpool 5|!poolval|!poolval zz|!lmi|!lmi zz|!dh|!dh -q nt|!dh zz|!dh nt+1000000|dt|dt nt!|dt _NOSUCH
dt tcpip!_X|.process 99999|.process zz|.process /q|!session 1|!session -s 99|!sprocess|!sprocess 99
!sprocess x y z|!sysptes zz|!lookaside zz|!pte zz|!vtop|u|u zz|u nt nt-1|.formats|? @$nosuch|.formats %
? 1 <|? 1 ** 2"""


@pytest.mark.parametrize("command", WRONG.replace("\n", "|").split("|"))
def test_wrong_arguments_are_one_sentence(command: str, run: Run) -> None:
    (sentence,) = run(command)
    assert sentence
    assert "Traceback" not in sentence
    assert not sentence.startswith("there is no command")


def test_q_ends(target_of: Callable[..., Target]) -> None:
    with Shell(target_of("19041-x64")) as shell:
        assert list(shell.run("q; ? 1")) == ["0: kd> q"]
        assert shell.ended


def test_control_characters_do_not_get_out(run: Run) -> None:
    for line in run("\x1b[2J\x07foo\r\nbar"):
        assert line.isprintable()


def test_a_very_long_line(target_of: Callable[..., Target]) -> None:
    with Shell(target_of("19041-x64")) as shell:
        assert list(shell.run("x" * (MAX_COMMAND + 1))) == [f"a command line has at most {MAX_COMMAND} characters"]


def test_endless_output_is_cut(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shell_module, "MAX_LINES", 5)
    lines = run("lm")
    assert len(lines) == 7
    assert lines[5] == "..."
    assert "cut after 5 lines" in lines[6]


def test_the_log(target_of: Callable[..., Target], tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    with Shell(target_of("19041-x64")) as shell:
        assert f"Opened log file '{log}'" in list(shell.run(f".logopen {log}; ? 1"))
        list(shell.run("? 2", typed=True))
        assert f"Closing open log file {log}" in list(shell.run(".logclose"))
        list(shell.run("? 3"))
        assert list(shell.run(f".logopen {log}"))[1].endswith(f"or add to it with .logappend {log}")
        list(shell.run(f".logappend {log}; ? 4"))
        assert list(shell.run(".logclose; .logclose"))[-2] == "there is no log file open"
        assert "cannot be written" in list(shell.run(f".logopen {tmp_path / 'none' / 'a'}"))[1]
    text = log.read_text(encoding="utf-8")
    assert [line for line in text.splitlines() if line.startswith("Evaluate")] == [
        f"Evaluate expression: {n} = 00000000`0000000{n}" for n in (1, 2, 4)
    ]
    # In the log each command has its prompt, also when it was typed
    assert "0: kd> ? 2\nEvaluate expression: 2" in text


def test_completion(target_of: Callable[..., Target]) -> None:
    with Shell(target_of("19041-x64")) as shell:
        assert shell.completions("", "!poo") == ["!pool", "!poolfind", "!poolused", "!poolval"]
        assert shell.completions("!poolfind ", "Lea") == ["Leak"]
        assert shell.completions("? ", "@$bug") == ["@$bug_code", *(f"@$bug_param{n}" for n in range(1, 5))]
        assert shell.completions("u ", "nt!exallocatepoolwithta") == [
            "nt!ExAllocatePoolWithTag",
            "nt!ExAllocatePoolWithTagPriority",
        ]
        assert shell.completions("lm; ", "!vm") == ["!vm"]
        assert shell.completions("!poolused 2 ", "Lea") == ["Leak"]
        assert shell.completions("dps ", "nt!PoolTrackTableM") == ["nt!PoolTrackTableMask"]
        assert shell.completions("lmv m ", "TCPIP") == ["tcpip", "tcpipreg"]
        assert shell.completions("lm m ", "nosuch") == []
