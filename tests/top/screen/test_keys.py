"""Keys, and the signs that a terminal has."""

import pytest

from poolsleuth.top.screen.colours import ASCII, UNICODE, signs
from poolsleuth.top.screen.keys import KEYS, Action, action_of


def test_no_key_means_two_things() -> None:
    keys = [key for entry in KEYS for key in entry.keys]
    assert len(keys) == len(set(keys))
    assert {entry.action for entry in KEYS} == set(Action)
    assert all(key == key.lower() for key in keys)


def test_letters_mean_the_same_in_either_case() -> None:
    for letter in "pstafdbmilehqxcrwzug":
        assert action_of(letter, letter) is action_of(letter.upper(), letter.upper()) is not None
    assert action_of("left_parenthesis", "(") is Action.BY_CHANGE
    assert action_of("pageup", None) is Action.PAGE_UP
    assert action_of("f9", None) is None
    assert action_of("y", "y") is None


@pytest.mark.parametrize(
    ("encoding", "plain"), [("utf-8", False), ("UTF8", False), ("cp437", True), ("ascii", True), ("latin-1", True)]
)
def test_the_encoding_decides_on_the_characters(encoding: str, plain: bool) -> None:
    assert signs(encoding) is (ASCII if plain else UNICODE)
    assert "".join((ASCII.down, ASCII.up, ASCII.cursor, ASCII.bar, ASCII.rest, ASCII.spark, ASCII.cut)).isascii()
