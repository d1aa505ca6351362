"""The labelled scenarios for the tests of this folder: the folder ``scenarios`` loaded as a package."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

NAME = "course_scenarios"
FOLDER = Path(__file__).parent / "scenarios"


def _load() -> ModuleType:
    """Loads the package by its path: with ``--import-mode=importlib`` test modules cannot import their neighbours."""
    if NAME in sys.modules:
        return sys.modules[NAME]
    spec = importlib.util.spec_from_file_location(
        NAME, FOLDER / "__init__.py", submodule_search_locations=[str(FOLDER)]
    )
    if spec is None or spec.loader is None:
        raise ImportError(f"{FOLDER} is no package")
    module = importlib.util.module_from_spec(spec)
    sys.modules[NAME] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def course_scenarios() -> ModuleType:
    """The package of labelled scenarios (see ``scenarios/__init__.py``)."""
    return _load()
