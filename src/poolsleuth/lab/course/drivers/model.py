"""What every model of a driver can do."""

from typing import Protocol

from poolsleuth.lab.course.state import State


class Model(Protocol):
    """A driver at work: ``hours`` have gone by since the start of the course, ``passed`` since the last step."""

    def step(self, state: State, hours: float, passed: float, /) -> None:
        """Do what it does in this time."""
