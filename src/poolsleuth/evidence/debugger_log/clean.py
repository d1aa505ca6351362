"""Takes the damage out of pasted text without losing a figure: section 0 of what transcripts look like.

Every step is guarded by a cheap test of the whole piece, so that a clean log costs next to nothing. Line feeds that
cleaning adds are ``SOFT`` ones: they end a line for the readers, but do not count when a place is reported.
"""

import html
import re

from poolsleuth.evidence.debugger_log.crammed import uncrammed
from poolsleuth.evidence.debugger_log.prefixes import unnumbered, unquoted_printable, unstamped, without_cells

SOFT = "\x1f\n"

_SPACES = dict.fromkeys([0xA0, 0x1680, *range(0x2000, 0x200B), 0x202F, 0x205F, 0x3000], " ")
_NOTHING = dict.fromkeys([0x200B, 0x200C, 0x200D, 0x200E, 0x200F, 0x2060, 0xFEFF, 0xAD], "")
_LOOKALIKES = {
    0x2028: SOFT,
    0x2029: SOFT,
    # cp1252 that was read as Latin-1
    0x85: "...",
    0x91: "'",
    0x92: "'",
    0x93: '"',
    0x94: '"',
    0x96: "-",
    0x97: "-",
    0x2018: "'",
    0x2019: "'",
    0x201A: "'",
    0x2032: "'",
    0x201C: '"',
    0x201D: '"',
    0x201E: '"',
    0x2033: '"',
    0x00D7: "x",
    0x2026: "...",
    0x2010: "-",
    0x2011: "-",
    0x2012: "-",
    0x2013: "-",
    0x2014: "-",
    0x2015: "-",
    0x2212: "-",
    0xFF1A: ":",
    0xFF08: "(",
    0xFF09: ")",
}
_REPLACEMENTS = {chr(code): text for code, text in {**_SPACES, **_NOTHING, **_LOOKALIKES}.items()}
_REPLACED = re.compile("[" + "".join(_REPLACEMENTS) + "]")
_ASCII_REPLACEMENTS = (("\t", " "), ("\x0b", " "), ("\x0c", " "), ("\x00", ""), ("\x1a", ""), ("\x1f", ""))
# Text that was UTF-8, was read as cp1252 (or Latin-1) somewhere on its way, and was saved again
_MOJIBAKE_MARKS = ("\u00c2", "\u00c3", "\u00e2")
_MOJIBAKE_RUN = re.compile("[\u0080-\uffff]+")
_MOJIBAKE_LOST = re.compile("\u00c2(?=[ ])")  # of an NBSP, when its second half became a blank
_MOJIBAKE_TIMES = 3  # a text may have taken that way more than once
_CP1252 = {bytes([byte]).decode("cp1252", errors="ignore") or chr(byte): byte for byte in range(128, 256)}

_ESCAPES = re.compile(r"\x1b(?:\[[0-9;?]{0,16}[A-Za-z]|\][^\x07\x1b\n]{0,200}(?:\x07|\x1b\\)?)")
_RETURNS = re.compile(r"\r+\n")
# What stands at a line's beginning is searched from the line feed before it: the regex engine finds that at once
# A mail quote stands at column 0; behind a blank only with a blank after it, or it is the tag ">abc" of a table.
# What has poolmon's pool type right behind it is a tag of nothing but these signs
_QUOTES = re.compile(r"\n(?![ ]{0,8}>{1,4}[ ]{1,4}(?:Nonp|Paged)[ ]+\d)(?:(?:>[ ]?)+|[ ]++(?:>+[ ])+)")
# Three and more lines with the same comment sign are a quoted log; one or two may be a heading or a bullet
# A sign with two numbers behind it, away from column 0, is a row of the tag "-" or "#"
_SIGNED = r"\n(?![ ]{1,8}\S{1,2}[ ]+\d+[ ]+\d)[ ]{0,8}"
_COMMENTS = re.compile(
    rf"{_SIGNED}(?P<sign>#|//|;|\*|-|\|)(?:[ ][^\n]*+)?(?=\n)"
    rf"(?:(?:\n[ ]*+(?=\n)){{0,3}}{_SIGNED}(?P=sign)(?:[ ][^\n]*+)?(?=\n)){{2,}}"
)
_COMMENT_SIGNS = ("# ", "// ", "; ", "* ", "- ", "| ")
# Bold text of markdown begins and ends at a word; three and more stars are a banner of the debugger
_BOLD = re.compile(r"\*\*(?<!\*\*\*)(?=\*?[^\s*])([^\n]{0,300}?[^\s*])\*\*(?!\*)")
_FIRST_TICKS = re.compile(r"(\n[ ]*+)`+")
_LAST_TICKS = re.compile(r"`+([ ]*+)(?=\n)")
_BLOCK_TAGS = re.compile(r"<\s*(?:br|/p|/div|/tr|/li|/pre|/h[1-6]|hr)\b[^<>\n]{0,200}>(?P<end>\n?)", re.IGNORECASE)
_TABLE_ROW = re.compile(r"<tr\b[^<>]{0,200}>(?:(?!</?tr\b)[\s\S]){0,4000}</tr\s*>\n?", re.IGNORECASE)
_INLINE_TAGS = re.compile(
    r"</?\s*(?:p|div|span|pre|code|td|th|tr|table|tbody|thead|b|i|u|em|strong|font|a|ul|ol|li|blockquote|tt|samp|kbd"
    r"|h[1-6]|body|html|head|section|article|sup|sub)\b[^<>\n]{0,300}>",
    re.IGNORECASE,
)
_CELL_TAGS = re.compile(r"</\s*(?:td|th)\s*>", re.IGNORECASE)
_ENTITY = re.compile(
    r"&(?:nbsp|lt|gt|amp|quot|apos|hellip|ndash|mdash|[lr][sd]quo|#\d{1,6}|#x[0-9a-f]{1,6});?", re.IGNORECASE
)
# In poolmon's row a tag has four characters and one blank behind them: there a backslash is one of the four
_ESCAPED = re.compile(r"(?P<row>\n[ ](?=\S)[^\n]{4}[ ](?:Nonp|Paged)[ ]+\d)|\\(?P<sign>[*_`#\[\]()<>~|.!+-])")
_MAX_WRAPPINGS = 3  # a quoted log may be quoted, commented out and set in backticks
_ADDRESS_TICK = re.compile(r"[`'](?<=[0-9a-fA-F]{8}[`'])(?<![0-9a-fA-F]{9}[`'])([0-9a-fA-F]{8})(?![0-9a-fA-F])")
_PIPES = re.compile(r"\n[ ]*+\|(?:[^|\n]*\|){2,}[^\n]*")


def clean(text: str) -> str:
    """The same text with its damage repaired. Figures, tags and the number of hard line feeds stay as they are."""
    for damaged, repaired in _ASCII_REPLACEMENTS:
        if damaged in text:
            text = text.replace(damaged, repaired)
    if "\r" in text:
        text = _RETURNS.sub("\n", text).replace("\r", SOFT)
    if "\x1b" in text:
        text = _ESCAPES.sub("", text)
    if "=" in text:
        text = unquoted_printable(text, SOFT)
    if not text.isascii():
        text = _characters(text)
    if "<" in text:
        text = _TABLE_ROW.sub(_one_line, text)
        text = _BLOCK_TAGS.sub(lambda m: "\n" if m.group("end") else SOFT, text)
        text = _INLINE_TAGS.sub("", _CELL_TAGS.sub(" ", text))
    if "&" in text:
        text = _ENTITY.sub(lambda m: _REPLACED.sub(_replacement, html.unescape(m.group())), text)
    text = f"\n{text}\n"  # every line now begins and ends at a line feed
    for _ in range(_MAX_WRAPPINGS):
        bare = _unwrapped(text)
        if bare == text:
            break
        text = bare
    if "`" in text or "'" in text:
        text = _ADDRESS_TICK.sub(r"\1", text)
    return uncrammed(text, SOFT)[1:-1]


def _unwrapped(text: str) -> str:
    """Without what stands around whole lines: quotes, times, line numbers, comment signs, pipes, backticks, bold."""
    if ">" in text:
        text = _QUOTES.sub("\n", text)
    text = unnumbered(unstamped(text) if ":" in text else text)
    if "|" in text:
        text = without_cells(text)
        text = _PIPES.sub(lambda m: m.group().replace("|", " "), text)
    if any(sign in text for sign in _COMMENT_SIGNS):
        text = _COMMENTS.sub(lambda m: _uncommented(m.group(), m.group("sign")), text)
    if "\\" in text:
        text = _ESCAPED.sub(lambda m: m.group("row") or m.group("sign"), text)
    if "**" in text:
        text = _BOLD.sub(r"\1", text)
    if "`" in text:
        text = _LAST_TICKS.sub(r"\1", _FIRST_TICKS.sub(r"\1", text))
    return text


def _characters(text: str) -> str:
    for _ in range(_MOJIBAKE_TIMES):
        if not any(mark in text for mark in _MOJIBAKE_MARKS):
            break
        repaired = _MOJIBAKE_RUN.sub(_demojibaked, text)
        if repaired == text:
            break
        text = repaired
    text = _MOJIBAKE_LOST.sub("", text).replace("\xa0", " ")
    return text if text.isascii() else _REPLACED.sub(_replacement, text)


def _demojibaked(match: re.Match[str]) -> str:
    run = match.group()
    try:
        return bytes([_CP1252[char] if char in _CP1252 else ord(char) for char in run]).decode("utf-8")
    except ValueError:  # a character beyond cp1252, or bytes that are no UTF-8: honest text
        return run.replace("\u00e2\u20ac", "'")


def _replacement(match: re.Match[str]) -> str:
    return _REPLACEMENTS[match.group()]


def _one_line(match: re.Match[str]) -> str:
    """The cells of a table row side by side; its line feeds stand behind it, so that no line number moves."""
    feeds = match.group().count("\n")
    return match.group().replace("\n", " ") + "\n" * feeds


def _uncommented(run: str, sign: str) -> str:
    return "\n".join(line.lstrip(" ").removeprefix(sign) for line in run.split("\n"))


def hard_lines(text: str) -> int:
    """How many lines of the original end in this text (soft line feeds do not count)."""
    return text.count("\n") - text.count(SOFT)
