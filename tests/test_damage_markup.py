"""The same log as markdown, HTML or terminal output must lead to the same verdicts as the bare text.

The companion of ``test_damage.py``, which holds the damage to blanks, lines, characters, encodings and prompts.
"""

import html
import re
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


@damage("bold lines")
def _bold_lines(text: str) -> str:
    return each_line(text, lambda line: f"**{line.strip()}**" if line.strip() else line)


@damage("bold figures of !vm")
def _bold_figures(text: str) -> str:
    return re.sub(r"(?<=: )( *)(\d+) \(", r"\1**\2** (", text)


@damage("bold labels of !vm")
def _bold_labels(text: str) -> str:
    return re.sub(r"^( *)([A-Z][\w ]+:)(?= +\d+ +\()", r"\1**\2**", text, flags=re.MULTILINE)


@damage("bold tags of a table")
def _bold_tags(text: str) -> str:
    return re.sub(r"^ (\w{2,4}) +(?=\d+ +\d+)", r" **\1** ", text, flags=re.MULTILINE)


@damage("bold prompts")
def _bold_prompts(text: str) -> str:
    return re.sub(r"^((?:\d: |l)kd> .*)$", r"**\1**", text, flags=re.MULTILINE)


@damage("trailing two blanks of markdown")
def _markdown_breaks(text: str) -> str:
    return each_line(text, lambda line: line + "  ")


@damage("escaped markdown")
def _escaped(text: str) -> str:
    return re.sub(r"([*_<>#\[\]])", r"\\\1", text)


@damage("every line in backticks")
def _ticks(text: str) -> str:
    return each_line(text, lambda line: f"`{line}`" if line.strip() else line)


@damage("every line in backticks with two blanks behind")
def _ticks_breaks(text: str) -> str:
    return each_line(text, lambda line: f"`{line}`  " if line.strip() else line)


@damage("fenced")
def _fenced(text: str) -> str:
    return f"```\n{text}\n```\n"


@damage("fenced by tildes with a language")
def _fenced_language(text: str) -> str:
    return f"Look:\n~~~text\n{text}\n~~~\n"


for _sign in ("#", "*", "//", ";", "-"):
    DAMAGES[f"commented with {_sign}"] = lambda text, sign=_sign: each_line(  # type: ignore[misc]
        text, lambda line: f"{sign} {line}".rstrip()
    )


@damage("pipes of a table")
def _pipes(text: str) -> str:
    return each_line(text, lambda line: "| " + _RUN.sub(" | ", line.strip()) + " |" if _RUN.search(line) else line)


@damage("pipes between all words")
def _pipes_all(text: str) -> str:
    return each_line(text, lambda line: "| " + " | ".join(line.split()) + " |" if _is_tag_line(line) else line)


def _is_tag_line(line: str) -> bool:
    return bool(re.match(r" ?(?:Tag +Allocs|\S{1,5} +\d+ +\d+ +\d+)", line))


@damage("pipes with a ruler below the header")
def _pipes_ruler(text: str) -> str:
    return re.sub(r"^(\| Tag .*)$", r"\1\n|---|--:|--:|--:|--:|---|", _pipes_all(text), flags=re.MULTILINE)


for _quote in ("> ", "> > ", ">", ">>", ">> ", " > ", "| "):
    DAMAGES[f"quoted with {_quote!r}"] = lambda text, quote=_quote: each_line(  # type: ignore[misc]
        text, lambda line: quote + line
    )


@damage("quoted, CRLF and collapsed")
def _quoted_collapsed(text: str) -> str:
    return each_line(text, lambda line: "> " + " ".join(line.split())).replace("\n", "\r\n")


@damage("HTML with br at line ends")
def _html_br(text: str) -> str:
    return html.escape(text).replace("\n", "<br />\n")


@damage("HTML with br instead of line ends")
def _html_br_only(text: str) -> str:
    return html.escape(text).replace("\n", "<br>")


@damage("HTML pre")
def _html_pre(text: str) -> str:
    return f"<html><body><pre class='x'>{html.escape(text)}</pre></body></html>"


@damage("HTML paragraphs")
def _html_paragraphs(text: str) -> str:
    return each_line(html.escape(text), lambda line: f"<p>{line}</p>")


@damage("HTML paragraphs on one line")
def _html_one_line(text: str) -> str:
    return "".join(f"<p style='x'>{line}</p>" for line in html.escape(text).split("\n"))


@damage("HTML code lines with nbsp")
def _html_nbsp(text: str) -> str:
    return each_line(html.escape(text).replace(" ", "&nbsp;"), lambda line: f"<code>{line}</code><br/>")


@damage("HTML spans around numbers")
def _html_spans(text: str) -> str:
    return re.sub(r"(?<![\w;&#])(\d{2,})(?![\w;])", r'<span class="n">\1</span>', html.escape(text))


@damage("HTML table cells")
def _html_cells(text: str) -> str:
    def row(line: str) -> str:
        if not _is_tag_line(line):
            return line + "<br>"
        return "<tr>" + "".join(f"<td align='right'>{cell}</td>" for cell in line.split()) + "</tr>"

    return each_line(html.escape(text, quote=False), row)


@damage("HTML table cells, one a line")
def _html_cells_lines(text: str) -> str:
    def row(line: str) -> str:
        if not _is_tag_line(line):
            return line + "<br>"
        return "<tr>\n" + "\n".join(f"  <td>{cell}</td>" for cell in line.split()) + "\n</tr>"

    return each_line(html.escape(text, quote=False), row)


@damage("ANSI colours")
def _ansi(text: str) -> str:
    return re.sub(r"(\d{3,}|kd>)", "\x1b[1;31m\\1\x1b[0m", text)


@damage("ANSI colours and line erasers")
def _ansi_erase(text: str) -> str:
    return each_line(text, lambda line: f"\x1b[32m{line}\x1b[39;49m\x1b[K")


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


@pytest.mark.parametrize("name", ["every line in backticks", "commented with #", "HTML paragraphs", "ANSI colours"])
@pytest.mark.parametrize("transcript", TRANSCRIPTS)
def test_damage_to_a_published_transcript(transcript: str, name: str, tmp_path: Path) -> None:
    found = sorted((SHARED / "data" / "transcripts").glob(f"{transcript}_*.txt"))
    if not found:
        pytest.skip(f"the published transcript {transcript} is not there")
    check(found[0], name, tmp_path)
