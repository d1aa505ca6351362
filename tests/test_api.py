import inspect
from pathlib import Path

import poolsleuth
from poolsleuth import Finding, InputError, Machine, PoolsleuthError, Report, diagnose, read

LOG = Path(__file__).parent / "data" / "logs" / "untagged.txt"


def test_diagnose_gives_a_report() -> None:
    report = diagnose([LOG])

    assert isinstance(report, Report)
    assert report.machines[0].conclusion is not None
    assert "ExAllocatePool" in report.machines[0].conclusion.says


def test_read_gives_facts() -> None:
    machines, problems = read(LOG)

    assert problems == ()
    assert isinstance(machines[0], Machine)
    assert len(machines[0].facts) > 3


def test_bad_input_does_not_raise() -> None:
    assert diagnose("missing.log").machines == ()
    assert read("missing.log")[0] == ()


def test_the_names_that_are_promised() -> None:
    assert set(poolsleuth.__all__) == {
        "Finding",
        "InputError",
        "Machine",
        "PoolsleuthError",
        "Report",
        "__version__",
        "diagnose",
        "read",
    }
    assert issubclass(InputError, PoolsleuthError)
    assert inspect.getdoc(Finding)
    assert poolsleuth.__version__
