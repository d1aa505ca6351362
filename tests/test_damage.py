"""The same log, damaged in every way that pasting damages logs, must lead to the same verdicts.

The undamaged text is the measure: what holds in it must hold in each damaged copy, on as many machines, with the same
conclusions. The samples are our own; real logs are taken in addition where they lie beside the project.
"""

import re
import textwrap
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TypeVar

import pytest

from poolsleuth.pipeline import diagnose

ROOT = Path(__file__).parents[1]
LOGS = sorted((ROOT / "tests" / "data" / "logs").glob("*.txt"))
SHARED = ROOT.parent / "shared"
SEEDS = ("000_8ab0d1702d9075eb.txt", "001_a69109390386e220.txt", "002_3328612633af358e.txt")
TRANSCRIPTS = ("004", "005", "006", "007", "008", "010", "012", "031", "039", "042", "053")
# One damage of each family: all of them on all transcripts would take minutes
FAMILIES = (
    "NBSP for all padding, and in empty lines",
    "collapsed and double spaced",
    "a TAB before every line",
    "hard wrapped at 80, then quoted",
    "CR only",
    "UTF-16 LE",
    "mojibake",
    "talk between the outputs",
)

Damage = Callable[[str], "str | bytes"]
D = TypeVar("D", bound=Damage)
DAMAGES: dict[str, Damage] = {}

_PROMPT = re.compile(r"(?:(?<=\n)|(?<=\n    )|\A)(?:\d{1,4}: |l)kd> ?")
_RUN = re.compile(r" {2,}")
_VALUE = re.compile(r"^(?=.*Usage:|.*Used:)(.*Kb\))[ ]*$", re.MULTILINE)


def damage(name: str) -> Callable[[D], D]:
    def register(function: D) -> D:
        DAMAGES[name] = function
        return function

    return register


def each_line(text: str, change: Callable[[str], str]) -> str:
    return "\n".join(change(line) for line in text.split("\n"))


# --- blanks


@damage("NBSP for every second blank of the padding")
def _nbsp_mixed(text: str) -> str:
    return _RUN.sub(lambda m: ("\u00a0 " * len(m.group()))[: len(m.group())], text)


@damage("NBSP for all padding, and in empty lines")
def _nbsp_all(text: str) -> str:
    return each_line(_RUN.sub(lambda m: "\u00a0" * len(m.group()), text), lambda line: line or "\u00a0")


@damage("every run of blanks collapsed")
def _collapsed(text: str) -> str:
    return each_line(text, lambda line: " ".join(line.split()))


@damage("leading blanks lost")
def _leading_lost(text: str) -> str:
    return each_line(text, str.lstrip)


@damage("double spaced")
def _double_spaced(text: str) -> str:
    return text.replace("\n", "\n\n")


@damage("collapsed and double spaced")
def _collapsed_double(text: str) -> str:
    return "\n\n".join(" ".join(line.split()) for line in text.split("\n"))


@damage("double spaced with lines of one blank")
def _double_blank(text: str) -> str:
    return text.replace("\n", "\n \n")


@damage("a TAB before every line")
def _tab_before(text: str) -> str:
    return each_line(text, lambda line: "\t" + line)


@damage("TABs between the columns")
def _tabs_between(text: str) -> str:
    return each_line(text, lambda line: _RUN.sub("\t", line))


@damage("trailing blanks")
def _trailing(text: str) -> str:
    return each_line(text, lambda line: line + "   ")


@damage("all indented by four")
def _indented(text: str) -> str:
    return each_line(text, lambda line: "    " + line)


# --- line breaks


def _wrapped(text: str, width: int) -> str:
    lines = []
    for line in text.split("\n"):
        lines += textwrap.wrap(line, width, break_long_words=False, break_on_hyphens=False) or [""]
    return "\n".join(lines)


for _width in (60, 72, 80):
    DAMAGES[f"hard wrapped at {_width}"] = lambda text, width=_width: _wrapped(text, width)  # type: ignore[misc]
    DAMAGES[f"hard wrapped at {_width}, then quoted"] = lambda text, width=_width: each_line(  # type: ignore[misc]
        _wrapped(text, width), lambda line: "> " + line
    )


@damage("CRLF")
def _crlf(text: str) -> str:
    return text.replace("\n", "\r\n")


@damage("CR CR LF")
def _crcrlf(text: str) -> str:
    return text.replace("\n", "\r\r\n")


@damage("CR only")
def _cr(text: str) -> str:
    return text.replace("\n", "\r")


@damage("Unicode line separators")
def _separators(text: str) -> str:
    return text.replace("\n", "\u2028")


@damage("line feeds that no file ends with")
def _no_last(text: str) -> str:
    return text.rstrip("\n")


# --- characters


@damage("smart quotes, multiplication signs, ellipses, dashes")
def _smart(text: str) -> str:
    text = re.sub(r"'([^'\n]*)'", "\u2018\\1\u2019", text)
    text = re.sub(r'"([^"\n]*)"', "\u201c\\1\u201d", text).replace("'", "\u2019")
    return re.sub(r"\b0x(?=[0-9a-f])", "0\u00d7", text).replace("...", "\u2026").replace("--", "\u2014")


_REMARKS = ("<-- high", "\u00df Very high", "<<<<", "// look", "\u2190 this", "<- see", "<<<<<-", "# here", "<== 98%")
for _remark in _REMARKS:
    DAMAGES[f"remark behind values: {_remark}"] = lambda text, remark=_remark: _VALUE.sub(  # type: ignore[misc]
        lambda m: f"{m.group(1)} {remark}", text
    )
    DAMAGES[f"remark behind each line: {_remark}"] = lambda text, remark=_remark: each_line(  # type: ignore[misc]
        text, lambda line: f"{line}   {remark}" if re.search(r"\d{3}", line) and "kd>" not in line else line
    )

# --- encodings

for _name, _codec in (
    ("UTF-8 with mark", "utf-8-sig"),
    ("UTF-16 LE", "utf-16-le"),
    ("UTF-16 BE", "utf-16-be"),
    ("UTF-16 with mark", "utf-16"),
    ("UTF-32 with mark", "utf-32"),
):
    DAMAGES[_name] = lambda text, codec=_codec: text.encode(codec)  # type: ignore[misc]


@damage("UTF-16 BE with mark")
def _utf16_be(text: str) -> bytes:
    return b"\xfe\xff" + text.encode("utf-16-be")


@damage("cp1252")
def _cp1252(text: str) -> bytes:
    return _smart(_nbsp_mixed(text)).encode("cp1252", errors="replace")


@damage("mojibake")
def _mojibake(text: str) -> str:
    data = _smart(_nbsp_mixed(text)).encode()
    return "".join(bytes([byte]).decode("cp1252", errors="ignore") or chr(byte) for byte in data)


@damage("mojibake twice")
def _mojibake_twice(text: str) -> str:
    return "".join(bytes([b]).decode("cp1252", errors="ignore") or chr(b) for b in _mojibake(text).encode())


# --- prompts and talk


@damage("prompts removed")
def _no_prompts(text: str) -> str:
    return _PROMPT.sub("", text)


@damage("commands and prompts removed")
def _no_commands(text: str) -> str:
    return re.sub(r"^(?:\d{1,4}: |l)kd>.*\n", "", text, flags=re.MULTILINE)


for _form in ("lkd>", " : kd> ", "kd> ", "###### 4: kd> ", "12: kd>", "0: kd:x86> ", "PS C:\\> 3: kd> "):
    DAMAGES[f"prompts in the form {_form!r}"] = lambda text, form=_form: _PROMPT.sub(  # type: ignore[misc]
        lambda _: form, text
    )


@damage("talk between the outputs")
def _talk(text: str) -> str:
    talk = "On 12 May 2011 at 10:15, somebody wrote: 4 servers, 32 GB each, see KB 298102 (2nd part). Used 3 times!\n"
    return _PROMPT.sub(lambda m: f"{talk}{m.group()}", text)


@damage("talk right behind the outputs")
def _talk_behind(text: str) -> str:
    return re.sub(r"\n\n(?=[^\n]*kd>)", "\nThat is 40 MB in 12 blocks, 3 of them large.\n", text)


@damage("debugger noise between the outputs")
def _noise(text: str) -> str:
    noise = (
        "*" * 70 + "\n*" + " " * 68 + "*\n* Bugcheck Analysis" + " " * 49 + "*\n" + "*" * 70 + "\n"
        "Loading Kernel Symbols\n" + "." * 60 + "\nUsing a machine size of 6d68c pages to configure the kd cache\n"
    )
    return _PROMPT.sub(lambda m: f"{noise}{m.group()}", text)


Verdicts = list[tuple[str | None, frozenset[tuple[str, str, str | None, str | None, int | None]]]]


def verdicts(path: Path) -> Verdicts:
    return [
        (
            machine.conclusion.pattern if machine.conclusion else None,
            frozenset(
                (f.pattern, str(f.verdict), f.subject.pool, f.subject.tag, f.subject.session)
                for f in machine.findings
                if f.verdict in {"found", "suspected"}
            ),
        )
        for machine in diagnose([str(path)]).machines
    ]


@cache
def undamaged(path: Path) -> Verdicts:
    return verdicts(path)


def check(path: Path, name: str, folder: Path) -> None:
    text = path.read_text(encoding="utf-8", errors="replace")
    damaged = DAMAGES[name](text)
    copy = folder / path.name
    copy.write_bytes(damaged if isinstance(damaged, bytes) else damaged.encode())
    assert verdicts(copy) == undamaged(path)


def test_the_samples_say_something() -> None:
    """Otherwise the comparison below would prove nothing."""
    assert [path.name for path in LOGS] == ["fragmented.txt", "several_machines.txt", "untagged.txt"]
    fragmented, several, untagged = (undamaged(path) for path in LOGS)
    assert [conclusion for conclusion, _ in fragmented] == ["pool-fragmentation"]
    assert [conclusion for conclusion, _ in untagged] == ["untagged-allocations"]
    assert [conclusion for conclusion, _ in several][:2] == [None, "session-pool-depletion"]
    assert len(several) == 6
    assert ("session-pool-depletion", "found", "session", None, 9) in several[1][1]
    assert ("generic-tag", "found", "nonpaged", "Ddk", None) in several[4][1]
    assert ("unloaded-driver-leak", "suspected", "paged", "MyAV", None) in several[5][1]


@pytest.mark.parametrize("name", DAMAGES)
@pytest.mark.parametrize("path", LOGS, ids=lambda path: path.stem)
def test_damage(path: Path, name: str, tmp_path: Path) -> None:
    check(path, name, tmp_path)


@pytest.mark.parametrize("name", DAMAGES)
@pytest.mark.parametrize("seed", SEEDS)
def test_damage_to_a_published_log(seed: str, name: str, tmp_path: Path) -> None:
    path = SHARED / "seeds" / seed
    if not path.is_file():
        pytest.skip(f"{path} is not there")
    check(path, name, tmp_path)


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("transcript", TRANSCRIPTS)
def test_damage_to_a_published_transcript(transcript: str, name: str, tmp_path: Path) -> None:
    found = sorted((SHARED / "data" / "transcripts").glob(f"{transcript}_*.txt"))
    if not found:
        pytest.skip(f"the published transcript {transcript} is not there")
    check(found[0], name, tmp_path)
