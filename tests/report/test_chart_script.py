import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from poolsleuth.report import chart_script
from poolsleuth.report.chart_script import plotter


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    plotter.cache_clear()
    yield
    plotter.cache_clear()


def make_package(folder: Path, monkeypatch: pytest.MonkeyPatch, script: bytes, style: bytes = b".uplot {}") -> None:
    static = folder / "strangeplot" / "static"
    static.mkdir(parents=True)
    (folder / "strangeplot" / "__init__.py").write_text("raise RuntimeError('imported')\n")
    (static / "uPlot.iife.js").write_bytes(script)
    (static / "uPlot.min.css").write_bytes(style)
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setattr(chart_script, "_PACKAGE", "strangeplot")


def test_the_installed_package_has_it() -> None:
    found = plotter()
    assert found is not None
    assert "var uPlot" in found.script
    assert ".uplot" in found.style
    assert len(found.script) < 200_000


def test_the_package_is_not_imported() -> None:
    code = (
        "import sys; from poolsleuth.report.chart_script import plotter; "
        "assert plotter(); assert 'uplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_line_ends_are_those_a_browser_sees(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_package(tmp_path, monkeypatch, b"\xef\xbb\xbfvar uPlot;\r\nx\ry")
    found = plotter()
    assert found is not None
    assert found.script == "var uPlot;\nx\ny"


@pytest.mark.parametrize(
    ("script", "style"),
    [
        (b"var uPlot = '</SCRIPT>'", b""),
        (b"var uPlot = '<!-- <script>'", b""),
        (b"nothing of the kind", b""),
        (b"uPlot \xff", b""),
        (b"uPlot \0", b""),
        (b"uPlot" + b" " * 300_000, b""),
        (b"uPlot", b"a { background: URL(x) }"),
        (b"uPlot", b"@import 'x'"),
        (b"uPlot", b"</style>"),
    ],
)
def test_what_could_not_stand_in_a_page_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: bytes, style: bytes
) -> None:
    make_package(tmp_path, monkeypatch, script, style)
    assert plotter() is None


def test_no_package_and_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chart_script, "_PACKAGE", "no_such_package_anywhere")
    assert plotter() is None
    plotter.cache_clear()
    make_package(tmp_path, monkeypatch, b"uPlot")
    (tmp_path / "strangeplot" / "static" / "uPlot.min.css").unlink()
    assert plotter() is None
