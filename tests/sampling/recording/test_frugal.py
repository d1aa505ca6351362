"""A process that records asks polars to be small, before it is there; what the user has set stays."""

import os
import subprocess
import sys

import pytest

from poolsleuth.sampling.recording.frugal import SETTINGS, keep_small

PROGRAM = """
import sys
from poolsleuth.cli import record
assert "polars" not in sys.modules
record.keep_small()
import polars
assert polars.thread_pool_size() == 1
"""


def test_the_command_comes_before_polars() -> None:
    environment = {name: value for name, value in os.environ.items() if name not in SETTINGS}
    done = subprocess.run([sys.executable, "-c", PROGRAM], env=environment, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_what_is_set_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in SETTINGS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("POLARS_MAX_THREADS", "3")
    keep_small()
    assert {name: os.environ[name] for name in SETTINGS} == {**SETTINGS, "POLARS_MAX_THREADS": "3"}
