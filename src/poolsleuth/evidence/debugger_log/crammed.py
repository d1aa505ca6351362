"""Lines that hold a whole output: the line feeds of a log were lost, or an output stands behind its command.

Such a line is cut where an output, a prompt or a row of a tag table begins. A line is taken for crammed when it is
longer than any line a debugger prints, begins with a prompt, or holds several figures of ``!vm``; and only when one
of the beginnings that are known here stands in it. Prose stays whole, also a long paragraph.
"""

import re
from collections.abc import Iterator

LONG_LINE = 400  # characters: the longest rows of outputs (lm with paths, !process) stay below
_SHORT = 40  # no output fits behind a prompt in fewer characters

_NUMBER = r"\d[\d,]{0,24}"
_PROMPT = r"(?:\d{1,4}:[ ]?)?l?kd(?::\w{1,8})?>"
_PROMPT_LINE = re.compile(rf"\n[ ]*+(?=[#\d: l]{{0,12}}kd(?::\w{{1,8}})?>)[^\n]{{{_SHORT},{LONG_LINE}}}+(?=\n)")
_PAGES = rf"{_NUMBER}[ ]*\([ ]*{_NUMBER}[ ]*K[ ]?b[ ]*\)"
_TWO_FIGURES = re.compile(r"\n[^\n(]{4,200}+\([^\n(]{4,200}+\([^\n]*+(?=\n)")
_FIGURES = re.compile(rf"\n(?=[^\n]{{40,{LONG_LINE}}}\n)[^\n(]*+(?<=\d)[ ]?\([^\n(]*+\([^\n]*+(?=\n)")
_FIGURES = re.compile(_PAGES)

# What begins an output or a part of one, wherever it stands
_BEGINS = (
    r"Virtual[ ]+Memory[ ]+Usage\b(?=[ ]*\*)",
    r"Terminal[ ]+Server[ ]+Memory[ ]+Usage[ ]+By[ ]+Session",
    r"Session[ ]+(?:Paged[ ]+Pool|View[ ]+Space)[ ]+Maximum[ ]+is[ ]+\d",
    r"Session[ ]+ID[ ]+\d{1,9}[ ]*@",
    r"Page[ ]+File[ ]*:[ ]*(?:\\|\S{1,80}[ ]+Current:)",
    r"No[ ]+Name[ ]+for[ ]+Paging[ ]+File",
    rf"(?:Physical[ ]+Memory|(?:Available|ResAvail|Locked[ ]+IO|Modified|Modified[ ]+PF)[ ]+Pages"
    r"|Free[ ]+(?:System|NP)[ ]+PTEs|Free[ ]+Special[ ]+NP|NonPagedPool(?:Nx)?[ ]+(?:Usage|Max(?:imum)?|Commit)"
    r"|PagedPool[ ]+(?:\d{1,3}[ ]+)?(?:Usage|Maximum|Commit)|(?:Shared|Driver)[ ]+Commit|Special[ ]+Pool"
    rf"|Shared[ ]+Process|Committed[ ]+pages|Commit[ ]+limit)[ ]*:?[ ]*{_PAGES}",
    r"(?<!\d)\d{1,20}[ ]+pool[ ]+allocations[ ]+have[ ]+failed",
    r"Pid[ ]+ImageName[ ]+Commit",
    r"Sorting[ ]+by[ ]+(?:Session[ ]+)?(?:NonPaged|Paged|Tag)\b[^\n]{0,40}?"
    r"(?=[ ](?:Pool[ ]+Used|(?:Non)?Paged|Tag)[ :])",
    r"Pool[ ]+Used[ ]*:",
    r"(?:Non-?Paged[ ]+)?(?:Paged[ ]+)?(?=Tag[ ]+Allocs)",
    r"Tag[ ]+Allocs[ ]+(?:Used|Frees|Diff)",
    r"DUMP[ ]+OF[ ]+ALL[ ]+RESOURCE[ ]+OBJECTS",
    r"KD:[ ]+Scanning[ ]+for[ ]+held[ ]+locks",
    r"Resource[ ]+@[ ]+\S{1,200}?(?:[ ]*\((?:0x)?[0-9a-fA-F]{8})?",
    r"(?<!\d)\d{1,20}[ ]+total[ ]+locks[ ]*,",
    r"start[ ]+end[ ]+module[ ]+name",
    r"Unloaded[ ]+modules[ ]*:[ ]+[0-9a-fA-F]{8}",
    r"Scanning[ ]+large[ ]+pool[ ]+allocation[ ]+table[ ]+for[ ]+[Tt]ag",
    r"Searching[ ]+[A-Za-z-]{3,12}[ ]+pool[ ]*\(",
    r"Pool[ ]+page[ ]+(?:0x)?[0-9a-fA-F]{7,16}[ ]+region[ ]+is",
    r"(?:[0-9a-fA-F]{16}|[0-9a-fA-F]{8})[ ]+size:[ ]*[0-9a-fA-F]{1,16}[ ]+previous[ ]+size:",
)
_BEGIN = re.compile(r"(?<![ ])[ ]++(?=(?:\*{1,80}[ ]?)?(?:" + "|".join(_BEGINS) + "))")
_ANY_BEGIN = re.compile("|".join(expression for expression in _BEGINS if "(?=Tag" not in expression))
_PROMPT_INSIDE = re.compile(rf"(?<![ ])[ ]++(?={_PROMPT}[ ]?[!.a-z])")
_HEADER = re.compile(r"[ #*]*Tag[ ]+Allocs(?:[ ]+(?:Allocs|Frees|Diff|Used|Bytes)\b)*")
_MODULES = re.compile(r"[ *]*(?:start[ ]+end[ ]+module|Unloaded[ ]+modules)")
_MODULE = re.compile(r"(?<![ ])[ ]++(?=(?:[0-9a-fA-F]{16}|[0-9a-fA-F]{8})[ ]+(?:[0-9a-fA-F]{16}|[0-9a-fA-F]{8})[ ]+\S)")
_PROCESSES = re.compile(r"(?<=Kb)[ ]+(?=[0-9a-f]{1,6}[ ]+(?!Kb\b)[A-Za-z][^\s:(]*[ ])")


def long_lines(text: str, length: int) -> Iterator[tuple[int, int]]:
    """Start and end of every line longer than ``length``, without looking at each line."""
    position = 0
    while position + length < len(text):
        end = text.rfind("\n", position, position + length + 1)
        if end < 0:
            end = text.find("\n", position + length)
            end = len(text) if end < 0 else end
            yield position, end
        position = end + 1


def uncrammed(text: str, soft: str) -> str:
    """The same text with ``soft`` where outputs and rows begin inside a crammed line.

    Every line of ``text`` begins behind a line feed, and ends before one.
    """
    parts = []
    known = 0
    for start, end in long_lines(text, LONG_LINE):
        parts += [text[known:start], _cut(text[start:end], soft)]
        known = end
    if parts:
        text = "".join([*parts, text[known:]])
    if "kd" in text:
        text = _PROMPT_LINE.sub(lambda m: _cut(m.group(), soft), text)
    if "Kb" in text:
        text = _TWO_FIGURES.sub(lambda m: _cut_figures(m.group(), soft), text)
    return text


def _cut_figures(line: str, soft: str) -> str:
    return _cut(line, soft) if len(_FIGURES.findall(line)) > 1 else line


def _cut(line: str, soft: str) -> str:
    if not _ANY_BEGIN.search(line):
        return line
    line = _BEGIN.sub(soft, _PROMPT_INSIDE.sub(soft, line))
    parts = line.split(soft)
    return soft.join(_rows(part, soft) for part in parts)


def _rows(part: str, soft: str) -> str:
    """One part of a line: the rows of a tag table are cut off its header and off each other."""
    if part.lstrip(" *").startswith("Pid"):
        return _PROCESSES.sub(soft, part.replace("Debt ", f"Debt{soft}", 1))
    if _MODULES.match(part):
        return _MODULE.sub(soft, part)
    header = _HEADER.match(part)
    if header is None:
        return part
    count = header.group().replace("#", " ").replace("*", " ").split()
    return header.group() + _row(len(count) - 1).sub(soft, part[header.end() :])


def _row(count: int) -> re.Pattern[str]:
    """The blanks before a tag and its numbers. A tag of digits alone is one when no further number follows."""
    numbers = rf"(?:[ ]+{_NUMBER}(?!\S)){{{count}}}"
    return re.compile(rf"(?<![ ])[ ]++(?=(?:TOTAL|(?!\d{{1,4}}[ ])\S{{1,4}}){numbers}|\d{{1,4}}{numbers}(?![ ]+\d))")
