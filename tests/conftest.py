"""What every test may use: golden files, renewed only when asked for by name; and hypothesis without a clock."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

# How long an example takes says how busy the machine is: with several workers none would be fast enough for sure
settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")

GoldenCheck = Callable[[str, str], None]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--renew-golden", action="store_true", help="write the golden files anew instead of comparing")


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> GoldenCheck:
    """``golden(name, text)``: the text must equal ``golden/<name>`` beside the test file.

    A missing file is a failure: a golden file that writes itself proves nothing.
    """
    renew = bool(request.config.getoption("--renew-golden"))
    folder = request.path.parent / "golden"

    def check(name: str, text: str) -> None:
        file: Path = folder / name
        if renew:
            folder.mkdir(exist_ok=True)
            file.write_text(text, encoding="utf-8", newline="\n")
            return
        if not file.is_file():
            pytest.fail(f"{file} is missing: look at the output, then run pytest with --renew-golden")
        assert text == file.read_text(encoding="utf-8")

    return check
