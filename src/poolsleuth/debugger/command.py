"""What a command is: its name, how it is typed, and what prints its lines."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from poolsleuth.debugger.target import Target

Lines = Iterator[str]
"""The lines of an output, without line feeds, made as they are asked for."""


@dataclass(frozen=True, slots=True)
class Command:
    """One command. ``name`` is a regular expression for how it begins, ``words`` are what completion offers.

    ``run`` is given the target, what ``name`` matched, and the rest of the line without blanks around it. It raises
    InputError, with a sentence, where the rest makes no sense.
    """

    name: re.Pattern[str]
    words: tuple[str, ...]
    usage: str
    says: str
    run: Callable[[Target, re.Match[str], str], Lines]
