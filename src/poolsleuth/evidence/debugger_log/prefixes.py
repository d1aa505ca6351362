"""What loggers, editors and mail programs put around every line: times, line numbers, table cells, quoted-printable.

A prefix is believed when at least three lines in a row have it, for a single one may be what an output says.
"""

import re

MIN_LINES = 3

_DATE = r"(?:\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4})"
_TIME = (
    r"\d{1,2}:\d{2}:\d{2}(?:[.,:]\d{1,9})?(?:[ ]?[AaPp]\.?[Mm]\b\.?)?(?:Z\b|[ ]?[+-]\d{2}:?\d{2}\b|[ ](?:UTC|GMT)\b)?"
)
_MOMENT = rf"(?:{_DATE}(?:T|,?[ ]{{1,2}}))?{_TIME}"
_STAMP = rf"[ ]{{0,8}}(?:[\[(]{_MOMENT}[\])]|{_MOMENT}(?=[ |\n]))(?:[ ]{{0,2}}[|>-](?=[ \n]))?"
_STAMPED = re.compile(rf"\n{_STAMP}[ ]?")
_STAMPED_RUN = re.compile(rf"(?:\n{_STAMP}[^\n]*+(?:\n[ ]*+(?=\n)){{0,3}}){{{MIN_LINES},}}")
_FILLED = re.compile(r"\n[ ]*+[^\s]")

# Behind the number: a sign, or two blanks when the number is padded ("0012  "). Not one blank: frames of a call stack
# are numbered that way, and without their numbers they would be rows of dps
_NUMBERED = re.compile(r"\n[ ]{0,8}(?P<number>\d{1,7})(?:(?P<sign>:|[ ]?\|)[ ]?|(?<=\d{3})(?P<gap>[ ]{2})|[ ]*(?=\n))")
_NUMBERED_LINE = re.sub("[?]P<[a-z]+>", "?:", _NUMBERED.pattern) + r"[^\n]*+"
# The first line stands outside of the group: the regex engine then jumps from line feed to line feed
_NUMBERED_RUN = re.compile(rf"{_NUMBERED_LINE}(?:{_NUMBERED_LINE}){{{MIN_LINES - 1},}}")
_NUMBERS = re.compile(r"\n[ ]*\d[\d,]*[ ]+\d")

_CELL = re.compile(r"\n[ ]*+\|([^|\n]*+)\|[ ]*+(?=\n)")

_QP_SIGN = re.compile(r"=(?:3D|09|C2=A0|20(?=[\s=]))|(?<=[^\s=])=(?=\n)")
_QP_FULL = re.compile(r"(?<=\n)[^\n]{70,75}=(?=\n)")  # cut where quoted-printable cuts: as good as two signs
_QP_OTHER = re.compile(r"=(?![0-9A-F]{2}|\n)")
_QP_LINE = re.compile(r"(?:[^\n]*=[ ]*\n)+[^\n]*")
_QP_BYTES = re.compile(r"(?:=[0-9A-F]{2})+")
_MIN_SIGNS = 2  # of quoted-printable: one "=20" may be the value of a register
_OTHERS_PER_SIGN = 4  # equals signs that mean themselves, beyond which the text is honest


def unstamped(text: str) -> str:
    """Without the times before the lines."""
    stamps = len(_STAMPED.findall(text))
    if stamps < MIN_LINES:
        return text
    if stamps * 2 > len(_FILLED.findall(text)):
        return _STAMPED.sub("\n", text)
    return _STAMPED_RUN.sub(lambda m: _STAMPED.sub("\n", m.group()), text)


def unnumbered(text: str) -> str:
    """Without line numbers: each is one more than the one before."""
    return _NUMBERED_RUN.sub(lambda m: _without_numbers(m.group()), text)


def _without_numbers(run: str) -> str:
    lines = [f"\n{line}" for line in run.split("\n")[1:]]
    found = [_NUMBERED.match(f"{line}\n") for line in lines]
    numbers = [int(match.group("number")) if match else -1 for match in found]
    start = 0
    for end in range(1, len(lines) + 1):
        if end < len(lines) and numbers[end] == numbers[end - 1] + 1:
            continue
        bare = [
            f"\n{line[match.end() :]}" for line, match in zip(lines[start:end], found[start:end], strict=True) if match
        ]
        # A row of a table whose tag is a number has nothing but numbers behind it
        texts = any(line.strip() and not _NUMBERS.match(line) for line in bare)
        signs = any(match and match.group("sign") for match in found[start:end])
        if end - start >= MIN_LINES and (signs or texts):
            lines[start:end] = bare
        start = end
    return "".join(lines)


def without_cells(text: str) -> str:
    """Lines that are one cell of a table, without its pipes."""
    return _CELL.sub(r"\n \1 ", text)


def unquoted_printable(text: str, soft: str) -> str:
    """Quoted-printable as plain text, when it plainly is.

    No line feed is lost: joined lines have theirs behind them.
    """
    signs = len(_QP_SIGN.findall(text)) + len(_QP_FULL.findall(text))
    if signs < _MIN_SIGNS or len(_QP_OTHER.findall(text)) * _OTHERS_PER_SIGN > signs:
        return text
    text = _QP_LINE.sub(_joined, text)
    return _QP_BYTES.sub(lambda m: _decoded(m.group(), soft), text)


def _joined(match: re.Match[str]) -> str:
    lines = match.group().split("\n")
    return "".join(line.rstrip(" ").removesuffix("=") for line in lines[:-1]) + lines[-1] + "\n" * (len(lines) - 1)


def _decoded(run: str, soft: str) -> str:
    data = bytes.fromhex(run.replace("=", "")).replace(b"\r", b"")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        text = data.decode("cp1252", errors="replace")
    return text.replace("\n", soft).replace("\t", " ").replace("\x00", "")
