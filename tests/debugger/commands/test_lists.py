"""``lm``, ``lmv``, ``!locks``, ``!process``, ``vertarget``: what the read-back of whole machines does not show."""

from collections.abc import Callable
from pathlib import Path

import pytest

from poolsleuth.debugger.commands import about, locks, modules, processes
from poolsleuth.debugger.target import Target
from poolsleuth.kernel.modules import LoadedModule, LoadedModules
from poolsleuth.kernel.processes import Process, Processes
from poolsleuth.kernel.resources import Resource, ResourceOwner, Resources
from poolsleuth.lab.simulate import SimulatedMachine
from poolsleuth.model.modules import ModuleList, UnloadedModules
from poolsleuth.model.system import LockThread, ResourceLock
from poolsleuth.reading import read_all

Run = Callable[..., list[str]]
Lab = Callable[..., tuple[Path, SimulatedMachine]]


def log_of(folder: Path, command: str, lines: list[str]) -> Path:
    log = folder / "log.txt"
    log.write_text("\n".join([f"0: kd> {command}", *lines, ""]), encoding="utf-8")
    return log


@pytest.mark.parametrize("command", ["lmvm acmeflt", "lmv m acmeflt", "lm v m ACMEFLT.sys", "lm vm acmefl?"])
def test_the_details_of_a_module_are_read_back(command: str, run: Run, lab_dump: Lab, tmp_path: Path) -> None:
    _, machine = lab_dump("7601-x64")
    truth = next(module for module in machine.truth.modules if module.name == "acmeflt.sys")
    (fact,) = [
        fact
        for fact in read_all([log_of(tmp_path, command, run(command, "7601-x64"))], None).facts[0]
        if isinstance(fact, ModuleList)
    ]
    (module,) = fact.modules
    assert (module.name, module.start, module.image, module.path) == ("acmeflt", truth.base, truth.name, truth.path)
    assert module.company == truth.version["CompanyName"]
    assert not fact.complete


def test_a_driver_that_is_only_unloaded(run: Run, lab_dump: Lab, tmp_path: Path) -> None:
    _, machine = lab_dump("7601-x64")
    truth = [module for module in machine.truth.unloaded if module.name == "acmetmp.sys"]
    lines = run("lmv m acmetmp.sys", "7601-x64")
    assert lines[:3] == ["start             end                 module name", "", "Unloaded modules:"]
    (fact,) = [
        fact
        for fact in read_all([log_of(tmp_path, "lmv m acmetmp.sys", lines)], None).facts[0]
        if isinstance(fact, UnloadedModules)
    ]
    assert {(m.name, m.start) for m in fact.modules} == {(m.name, m.start) for m in truth}
    assert len(fact.modules) == len(truth) > 1


def test_modules_whose_names_are_missing(target_of: Callable[..., Target], tmp_path: Path) -> None:
    kernel = target_of("19041-x64").kernel
    target = Target(kernel=kernel)
    base = kernel.base
    nameless = LoadedModule(0, base + (1 << 28), 0x1000, None, None, 0, None, None, None)
    hostile = LoadedModule(0, base + (1 << 29), 0x1000, "a\x1b[2J\nb.sys", None, None, None, None, None)
    names = target.names
    object.__setattr__(names, "loaded", LoadedModules((nameless, hostile), True, None, None))
    object.__setattr__(names, "modules", (nameless, hostile))
    (command,) = modules.COMMANDS
    match = command.name.match("lm")
    assert match is not None
    lines = list(command.run(target, match, ""))
    assert f"Unknown_Module_{nameless.base:x}" in lines[1]
    assert "a.[2J.b" in lines[2]
    assert lines[3:5] == ["...", "*** the names of 1 modules are not in this dump"]
    (fact,) = [f for f in read_all([log_of(tmp_path, "lm", lines)], None).facts[0] if isinstance(f, ModuleList)]
    assert not fact.complete


def test_locks_without_v_are_those_in_use(run: Run) -> None:
    lines = run("!locks", story="lock-contention")
    assert not any("Available" in line for line in lines)
    assert len([line for line in run("!locks -v", story="lock-contention") if line.startswith("Resource @")]) >= len(
        [line for line in lines if line.startswith("Resource @")]
    )


def test_marked_owners_and_waiters_are_read_back(
    target_of: Callable[..., Target], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The owner of 80d8b0b0 as a real !locks prints it: "Threads: 80ed0023-01<*> *** Actual Thread 80ed0020"."""
    threads = [0x81000000 + 0x100 * n for n in range(9)]
    resource = Resource(
        address=0x80D8B0B0,
        name=None,
        state="shared",
        active_count=2,
        owning_threads=2,
        contention=0,
        shared_waiters=1,
        exclusive_waiters=9,
        owners=(ResourceOwner(0x80ED0020, 0x80ED0023, 1), ResourceOwner(0x80ED0040, 0x80ED0040, 5000)),
        shared_waiting=(0x80EE0000,),
        exclusive_waiting=tuple(threads),
    )
    found = Resources((resource,), 5, 1, False, "4 of the resources cannot be read", 0)
    monkeypatch.setattr(locks, "read_resources", lambda _kernel: found)
    (command,) = locks.COMMANDS
    match = command.name.match("!locks")
    assert match is not None
    lines = list(command.run(target_of("3790-x86"), match, ""))
    assert "     Threads: 80ed0023-01<*> *** Actual Thread 80ed0020 " in lines
    assert lines[-2:] == ["...", "*** 4 of the resources cannot be read"]  # and no count of all that could be believed
    (fact,) = [f for f in read_all([log_of(tmp_path, "!locks", lines)], None).facts[0] if isinstance(f, ResourceLock)]
    assert set(fact.threads) == {
        LockThread(0x80ED0020, owner=True),
        LockThread(0x80ED0040, owner=True),
        LockThread(0x80EE0000, owner=False),
        *(LockThread(thread, owner=False, exclusive_wait=True) for thread in threads),
    }


def test_a_process_of_which_little_is_known(target_of: Callable[..., Target], monkeypatch: pytest.MonkeyPatch) -> None:
    bare = dict.fromkeys(Process.__dataclass_fields__, None) | {"address": 0x81234560, "handles_guessed": True}
    process = Process(**(bare | {"handles": 77}))  # type: ignore[arg-type]
    found = Processes((process,), False, "the list ends early", 0)
    monkeypatch.setattr(processes, "read_processes", lambda _kernel: found)
    (command,) = processes.COMMANDS
    match = command.name.match("!process")
    assert match is not None
    assert list(command.run(target_of("3790-x86-pae"), match, "0 0")) == [
        "**** NT ACTIVE PROCESS DUMP ****",
        "PROCESS 81234560  SessionId: none",
        "    HandleCount: <Data Not Accessible>",  # a guess is no count
        "    Image: <Data Not Accessible>",
        "",
        "...",
        "*** the list ends early",
    ]


def test_processes_of_one_name(run: Run) -> None:
    lines = run("!process 0 0 SMSS.exe", "7601-x64")
    assert [line.strip() for line in lines if "Image:" in line] == ["Image: smss.exe"]


def test_an_image_of_memory_has_no_bug_check(target_of: Callable[..., Target]) -> None:
    target = Target(kernel=target_of("19041-x64").kernel)
    for command in about.COMMANDS:
        match = command.name.match(command.words[0])
        assert match is not None
        lines = list(command.run(target, match, ""))
        assert lines
        if command.words == (".bugcheck",):
            assert lines == ["*** an image of memory has no bug check"]
        else:
            # The machine's own clock tells the time
            assert any(line.startswith("Debug session time: ") for line in lines)
