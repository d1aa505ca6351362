"""The documents say what the program does: pages, thresholds, samples, command help, links, the API example."""

import html
import importlib
import io
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from rich.console import Console

from poolsleuth.cli.lab import lab
from poolsleuth.cli.main import cli
from poolsleuth.cli.symbols import symbols
from poolsleuth.patterns import thresholds
from poolsleuth.patterns.course.course import Kind
from poolsleuth.patterns.pattern import all_patterns
from poolsleuth.patterns.thresholds import Threshold
from poolsleuth.pipeline import diagnose
from poolsleuth.report.terminal import render
from poolsleuth.windows.counters import is_wanted

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "poolsleuth"
DOCS = ROOT / "docs"
PATTERNS = DOCS / "patterns"
PAGES = sorted(page for page in PATTERNS.glob("*.md") if page.name != "README.md")
DOCUMENTS = sorted([*DOCS.rglob("*.md"), ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "examples" / "README.md"])
PICTURE_WIDTH = 100  # as docs/make_picture.py draws it
SYMBOLS = ("symbols add", "symbols fetch", "symbols list", "symbols show")
LAB = ("lab dump", "lab list", "lab run")
PARENTS = (
    *("diagnose", "top", "record", "trend", "diff", "collect"),
    *("tags", "limits", "symbols", "whois", "map", "shell", "lab"),
)
COMMANDS = ("", *PARENTS[:9], *SYMBOLS, *PARENTS[9:], *LAB)
PARTS = (
    "What it means",
    "How it is judged",
    "Thresholds",
    "What speaks against it",
    "Sample",
    "What to do",
    "Blind spots",
)

# What a page describes beside the file of its pattern: the helpers that judge for it
HELPERS = {
    "pool-leak": ("leak_over_time", "leak_suspicion", "growth", "courses", "quota_payers"),
    "handle-leak": ("handles_over_time", "quota_payers"),
    "tags-growing-together": ("lockstep_groups",),
}
BOUNDED_PAGES = tuple(
    DOCS / f"{page}.md" for page in ("reading-logs", "counters", "symbols", "dumps", "map", "live", "recording", "top")
)

_THRESHOLD_ROW = re.compile(r"^\| `(?P<name>[A-Z][A-Z_]+)` \| (?P<value>[^|]+) \| (?P<reason>[^|]+) \|$", re.MULTILINE)
_SAMPLE = re.compile(
    r"(?P<head><!-- sample: (?P<pattern>[a-z-]+) (?P<file>\S+) -->\n```text\n)(?P<body>.*?)(?P<tail>```\n)", re.DOTALL
)
_CONSTANT_ROW = re.compile(
    r"^\| `course\.(?P<name>[A-Z_]+)` \| (?P<value>[\d.,]+)(?P<unit> %| hours| days)? \| [^|]+ \|$", re.MULTILINE
)
_LINK = re.compile(r"!?\[[^\]]*\]\((?P<target>[^)\s]+)\)")
_CODE = re.compile(r"```.*?```|`[^`\n]*`", re.DOTALL)
_HEADING = re.compile(r"^#+ +(.+?) *$", re.MULTILINE)


def renewing(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--renew-golden"))


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


# ---- the pages of the patterns ----


def test_every_pattern_has_a_page_and_every_page_a_pattern() -> None:
    assert [page.stem for page in PAGES] == [pattern.id for pattern in all_patterns()]


@pytest.mark.parametrize("page", PAGES, ids=relative)
def test_page_has_all_its_parts(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert text.startswith(f"# {page.stem}\n")
    assert tuple(re.findall(r"^## (.+)$", text, re.MULTILINE)) == PARTS


def test_index_lists_every_page() -> None:
    index = (PATTERNS / "README.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| \[([a-z-]+)\]\(\1\.md\)", index, re.MULTILINE) == [page.stem for page in PAGES]


# ---- thresholds ----


def all_thresholds() -> dict[str, Threshold]:
    return {name: value for name, value in vars(thresholds).items() if isinstance(value, Threshold)}


def printed(name: str, value: float) -> str:
    """A threshold as the tables write it: shares in percent, bytes in KB or MB, the rest as a plain number."""
    if name.endswith("_LEADS"):
        return f"{value:g} times"
    if name.endswith("_HOURS"):
        return f"{value:g} hours"
    if name == "FOLLOWS_THE_LOAD":  # a correlation, no share
        return f"{value:g}"
    if name.endswith("_BYTES"):
        size = int(value)
        return f"{size >> 20} MB" if size % (1 << 20) == 0 else f"{size >> 10} KB"
    return f"{value * 100:g} %" if value <= 1 else f"{int(value):,}"


def documented() -> Iterator[tuple[str, str, str]]:
    for page in [*PAGES, PATTERNS / "README.md"]:
        for row in _THRESHOLD_ROW.finditer(page.read_text(encoding="utf-8")):
            yield page.stem, row["name"], row["value"].strip()


def test_every_threshold_stands_on_a_page() -> None:
    assert {name for _, name, _ in documented()} == set(all_thresholds())


def test_documented_values_are_those_of_the_code() -> None:
    known = all_thresholds()
    wrong = [
        f"{page}: {name} is {printed(name, known[name].value)}, not {value}"
        for page, name, value in documented()
        if name in known and printed(name, known[name].value) != value
    ]
    assert not wrong


def test_a_page_names_the_thresholds_that_its_pattern_uses() -> None:
    for page in PAGES:
        files = (page.stem.replace("-", "_"), *HELPERS.get(page.stem, ()))
        source = "".join((SOURCE / "patterns" / f"{file}.py").read_text(encoding="utf-8") for file in files)
        used = {name for name in all_thresholds() if re.search(rf"\b{name}\b", source)}
        named = {name for stem, name, _ in documented() if stem == page.stem}
        assert used <= named, f"{page.stem}: {sorted(used - named)} missing"


def constants_of(folder: Path, module: str, name: str) -> list[object]:
    """The values that a name has in the modules of a folder; ``module`` may hold wildcards."""
    found = []
    for path in folder.rglob(f"{module}.py"):
        parts = path.relative_to(SOURCE.parent).with_suffix("").parts
        value = getattr(importlib.import_module(".".join(parts)), name, None)
        if value is not None:
            found.append(value)
    return found


@pytest.mark.parametrize("page", ["README.md", "tags-growing-together.md"])
def test_documented_constants_of_the_tests_on_time_are_those_of_the_code(page: str) -> None:
    text = (PATTERNS / page).read_text(encoding="utf-8")
    rows = list(_CONSTANT_ROW.finditer(text))
    assert len(rows) == text.count("| `course.") >= 5
    for row in rows:
        value = float(row["value"]) / (100 if row["unit"] == " %" else 1)
        found = constants_of(SOURCE / "patterns" / "course", "*", row["name"])
        assert value in found, f"{row['name']} is {found}, not {value:g}"


def test_documented_words_are_those_of_the_code() -> None:
    text = (PATTERNS / "README.md").read_text(encoding="utf-8")
    section = text[text.index("## Over time") : text.index("## Values and samples")]
    assert set(re.findall(r"^\| `([a-z-]+)` \|", section, re.MULTILINE)) == {str(kind) for kind in Kind}


# ---- samples ----


def terminal_output(file: str) -> str:
    out = io.StringIO()
    render(diagnose([file]), Console(file=out, width=80, highlight=False, color_system=None), verbosity=2)
    return out.getvalue()


def excerpt(output: str, pattern: str) -> str:
    """The first finding of the pattern; where there is none, what -vv says of it among the rest."""
    for block in re.split(r"\n\n", output):
        if re.match(r"\d+\. ", block) and f"[{pattern}]" in block:
            return block.rstrip("\n") + "\n"
    found = re.search(rf"^  {pattern}: .*\n(?:   .*\n)*", output, re.MULTILINE)
    assert found is not None, f"{pattern} is not in the output"
    return found.group()


@pytest.mark.parametrize("page", PAGES, ids=relative)
def test_sample_is_what_the_program_prints(
    page: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    text = page.read_text(encoding="utf-8")
    matches = list(_SAMPLE.finditer(text))
    assert matches, "the page has no sample"
    assert len(matches) == text.count("<!-- sample:")
    assert {match["pattern"] for match in matches} == {page.stem}
    samples = [excerpt(terminal_output(match["file"]), page.stem) for match in matches]
    if renewing(request):
        for match, sample in reversed(list(zip(matches, samples, strict=True))):
            text = text[: match.start("body")] + sample + text[match.end("body") :]
        page.write_text(text, encoding="utf-8", newline="\n")
        return
    assert [match["body"] for match in matches] == samples


# ---- the commands ----


def commands_page() -> str:
    parts = [
        "# The commands\n\nWhat `--help` prints. This file is written by a test: `pytest tests/docs --renew-golden`.\n"
    ]
    for name in COMMANDS:
        # A process of its own: click remembers how a command was first called
        result = subprocess.run(
            [sys.executable, "-m", "poolsleuth", *name.split(), "--help"],
            capture_output=True,
            check=True,
            encoding="utf-8",
            env={**os.environ, "COLUMNS": "80", "PYTHONIOENCODING": "utf-8", "NO_COLOR": "1"},
        )
        title = f"poolsleuth {name}".strip()
        parts.append(f"## {title}\n\n```text\n{result.stdout.rstrip()}\n```\n")
    return "\n".join(parts)


def test_every_command_is_documented() -> None:
    assert cli.list_commands(click.Context(cli)) == list(PARENTS)
    assert {f"symbols {name}" for name in symbols.commands} == set(SYMBOLS)
    assert {f"lab {name}" for name in lab.commands} == set(LAB)


def test_commands_page_is_the_help(request: pytest.FixtureRequest) -> None:
    page = DOCS / "commands.md"
    if renewing(request):
        page.write_text(commands_page(), encoding="utf-8", newline="\n")
        return
    # Words only: versions of click break lines at other places
    assert page.read_text(encoding="utf-8").split() == commands_page().split()


# ---- bounds ----


@pytest.mark.parametrize("page", BOUNDED_PAGES, ids=relative)
def test_documented_bounds_are_those_of_the_code(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)\.(MAX_\w+)` \| (\d[\d,]*)(?: ([MG])B)? \|", text, re.MULTILINE)
    assert len(rows) == len(re.findall(r"^\| `\w+\.MAX_", text, re.MULTILINE)) > 10
    for module, name, number, unit in rows:
        value = int(number.replace(",", "")) << {"": 0, "M": 20, "G": 30}[unit]
        found = constants_of(SOURCE, module, name)
        assert value in found, f"{module}.{name} is {found}"


# ---- counters ----


def test_documented_counters_are_those_that_are_read() -> None:
    text = (DOCS / "counters.md").read_text(encoding="utf-8")
    section = text[text.index("## Which counters") : text.index("## Names in other languages")]
    rows = re.findall(r"^\| (`[^|]+) \| ([^|]+) \| [^|]+ \|$", section, re.MULTILINE)
    assert len(rows) > 10
    for objects, cell in rows:
        instance = "_Total" if "`_Total`" in cell else None
        counters = [name for name in re.findall(r"`([^`]+)`", cell) if name != "_Total"]
        for object_ in re.findall(r"`([^`]+)`", objects):
            unread = [counter for counter in counters if not is_wanted(object_, instance, counter)]
            assert not unread, f"{object_}: {unread}"


# ---- links ----


def anchors(path: Path) -> set[str]:
    text = re.sub(r"```.*?```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    return {
        re.sub(r"[^\w\- ]", "", heading.replace("`", "").lower()).replace(" ", "-")
        for heading in _HEADING.findall(text)
    }


def links(document: Path) -> list[str]:
    text = _CODE.sub("", document.read_text(encoding="utf-8"))
    return [match["target"] for match in _LINK.finditer(text)]


@pytest.mark.parametrize("document", DOCUMENTS, ids=relative)
def test_relative_links_resolve(document: Path) -> None:
    broken = []
    for target in links(document):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        path = document if not name else document.parent / name
        if not path.exists() or (anchor and anchor not in anchors(path)):
            broken.append(target)
    assert not broken


def test_every_document_is_reachable_from_the_readme() -> None:
    reached: set[Path] = set()
    waiting = [ROOT / "README.md"]
    while waiting:
        document = waiting.pop()
        if document in reached:
            continue
        reached.add(document)
        for target in links(document):
            path = (document.parent / target.partition("#")[0]).resolve()
            if path.suffix == ".md" and path.is_file():
                waiting.append(path)
    assert set(DOCUMENTS) <= reached


# ---- the README ----


def test_readme_has_its_two_commands() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    lines = [line.strip() for line in text.splitlines() if line.startswith("    python3 -m venv")]
    assert len(lines) == 2
    assert lines[0].endswith("poolsleuth diagnose examples/untagged.log")
    assert lines[1].endswith("python -m pytest -q -n auto --dist loadfile")


def test_readme_counts_the_patterns() -> None:
    assert f"[{len(all_patterns())} patterns](docs/patterns/README.md)" in (ROOT / "README.md").read_text(
        encoding="utf-8"
    )


def test_readme_python_example_runs(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert len(blocks) == 1
    exec(compile(blocks[0], "README.md", "exec"), {})
    out = capsys.readouterr().out
    assert "untagged-allocations" in out
    assert "exampledrv.sys" in out


def test_picture_shows_the_present_report() -> None:
    picture = (DOCS / "images" / "report.svg").read_text(encoding="utf-8")
    out = io.StringIO()
    console = Console(file=out, width=PICTURE_WIDTH, highlight=False, color_system=None)
    render(diagnose([str(ROOT / "examples" / "untagged.log")]), console)
    drawn = html.unescape("".join(re.findall(r"<text[^>]*>([^<]*)</text>", picture)))
    assert "".join(out.getvalue().split()) in "".join(drawn.split()), "python docs/make_picture.py draws it anew"
    assert "http" not in re.sub(r'xmlns="http[^"]*"', "", picture), "the picture asks a server for something"
