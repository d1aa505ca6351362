"""Small commands: expressions over a dump, headers, types, code, and what they say where nothing is known."""

from collections.abc import Callable
from pathlib import Path

import pytest

from poolsleuth.debugger.expressions import evaluate
from poolsleuth.debugger.shell import Shell
from poolsleuth.debugger.target import Target
from poolsleuth.kernel.image_headers import read_headers, read_import_names
from poolsleuth.kernel.system_ptes import read_system_ptes
from poolsleuth.lab.simulate import SimulatedMachine
from poolsleuth.model.errors import InputError

Run = Callable[..., list[str]]
TargetOf = Callable[..., Target]
Lab = Callable[..., tuple[Path, SimulatedMachine]]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0t17 + 0y101", 0x14),
        ("f0 & 3c", 0x30),
        ("f0 | f", 0xFF),
        ("f ^ 3", 0xC),
        ("1 << 4 + 1", 0x20),  # + binds more than <<
        ("100 >> 4", 0x10),
        ("17 % 5", 3),
        ("17 mod 5", 3),
        ("f0 and 3c or 1", 0x31),
        ("~0", 0xFFFFFFFFFFFFFFFF),
        ("2 < 3", 1),
        ("2 == 3", 0),
        ("not 0", 1),
        ("1 << 40", 0),  # 0x40 bits: all of them are gone
        ("hi(12345678)", 0x1234),
        ("low(12345678)", 0x5678),
        ("@$ptrsize", 8),
        ("$pagesize", 0x1000),
        ("wo(nt)", 0x5A4D),
        ("by(nt)", 0x4D),
        ("dwo(nt) & ffff", 0x5A4D),
        ("qwo(nt) & ff", 0x4D),
        ("@$ntsym - nt", 0),
        ("NT!exallocatepoolwithtag - nt!ExAllocatePoolWithTag", 0),
    ],
)
def test_values_over_a_dump(text: str, value: int, target_of: TargetOf) -> None:
    assert evaluate(target_of("19041-x64"), text) == value


def test_registers(lab_dump: Lab, target_of: TargetOf) -> None:
    _, machine = lab_dump("19041-x64")
    target = target_of("19041-x64")
    assert evaluate(target, "@$bug_code") == machine.truth.bug_check.code
    assert evaluate(target, "@$bug_param2") == machine.truth.bug_check.parameters[1]
    assert evaluate(target, "@$proc") == machine.truth.processes[0].address
    with pytest.raises(InputError, match="no register that is known here"):
        evaluate(target, "@$ra")


def test_comments_and_echo(run: Run, target_of: TargetOf) -> None:
    assert run('.echo "a b"') == ["a b"]
    with Shell(target_of("19041-x64")) as shell:
        assert list(shell.run("* lm; q")) == ["0: kd> * lm; q", ""]
        assert list(shell.run("$$ lm; ? 1"))[2] == "0: kd> ? 1"
        assert not shell.ended
        list(shell.run(".cls"))
        assert shell.cleared


def test_formats(run: Run) -> None:
    lines = run(".formats 4ce7b8f0")
    assert lines[1] == "  Hex:     00000000`4ce7b8f0"
    assert lines[2] == "  Decimal: 1290254576"
    # The time stamp of a published !dh: "4CE7B8F0 time date stamp Sat Nov 20 17:32:56 2010", its zone 5:30 behind
    assert lines[-1] == "  Time:    Sat Nov 20 12:02:56 2010 (UTC)"


def test_the_fields_of_a_structure(run: Run, target_of: TargetOf) -> None:
    # In the public symbols of all x64 kernels the tag lies at 4
    assert "   +0x004 PoolTag          : 4 bytes" in run("dt nt!_POOL_HEADER")
    assert any(line.startswith("   +0x000 PreviousSize     : Pos 0, 8 Bits") for line in run("dt pool_header"))
    lines = run("dt _EPROCESS @$proc ImageFileName UniqueProcessId")
    assert any(line.endswith('"System"') for line in lines)
    assert any("UniqueProcessId" in line and line.endswith(": 0x4") for line in lines)
    assert run("dt _KPROCESS 0 DirectoryTableBase")[-1].endswith(": ??")
    assert "*** as this build usually has it" in run("dt _POOL_HEADER", "3790-x86")[1]
    (sentence,) = run("dt nt!_NO_SUCH_TYPE")
    assert sentence.startswith("of nt!_NO_SUCH_TYPE nothing is known: only the ")


def test_code(target_of: TargetOf, monkeypatch: pytest.MonkeyPatch) -> None:
    target = target_of("7601-x64").copied()
    code = bytes.fromhex("48895c2408" + "4883ec20" + "e8f6ffffff" + "c3") + b"\xcc" * 16
    read = target.kernel.memory.read
    base = target.kernel.base
    monkeypatch.setattr(
        type(target.kernel.memory),
        "read",
        lambda self, place, size: (
            code[place - base : place - base + size] if 0 <= place - base < len(code) - size else read(place, size)
        ),
    )
    with Shell(target) as shell:
        lines = list(shell.run("u nt L4"))[1:-1]
    text = target.address(base)
    assert lines[0] == "nt+0x0:"
    assert lines[1] == f"{text} 48895c2408      mov     qword ptr [rsp+8],rbx"
    assert lines[2] == f"{target.address(base + 5)} 4883ec20        sub     rsp,20h"
    assert lines[3] == f"{target.address(base + 9)} e8f6ffffff      call    nt+0x4 ({target.address(base + 4)})"
    assert lines[4] == f"{target.address(base + 14)} c3              ret"


def test_headers_and_imports(lab_dump: Lab, target_of: TargetOf) -> None:
    _, machine = lab_dump("3790-x86-pae")
    target = target_of("3790-x86-pae")
    for module in machine.truth.modules[-3:]:
        assert module.base is not None
        headers = read_headers(target.kernel.memory, module.base)
        assert headers is not None
        assert (headers.timestamp, headers.optional["SizeOfImage"]) == (module.timestamp, module.size)
        assert headers.optional["ImageBase"] == module.base
        found = read_import_names(target.kernel.memory, headers)
        assert [one.name for one in found or ()] == list(module.imports)
    assert read_headers(target.kernel.memory, 0x1000) is None


def test_system_ptes_as_the_counters_say(lab_dump: Lab, target_of: TargetOf, run: Run) -> None:
    for name in ("7601-x64", "9600-x64", "19041-x64"):
        _, machine = lab_dump(name)
        found = read_system_ptes(target_of(name).kernel)
        if found.system is not None:
            assert found.system.total_free == machine.truth.memory.free_system_ptes
    assert run("!sysptes", "3790-x86-pae")[0].startswith("*** ")


def test_an_address_and_its_page(target_of: TargetOf, run: Run) -> None:
    target = target_of("19041-x64")
    lines = run("!pte nt")
    assert lines[0] == f"VA {target.plain(target.kernel.base)}"
    assert "   valid" in lines[-1]
    physical = run("!vtop 0 nt")[-1]
    assert physical.startswith(f"Virtual address {target.kernel.base:x} translates to physical address ")
    assert run("!pte 0")[-1].startswith(("***", "not valid"))


def test_a_command_for_each_module(target_of: TargetOf, run: Run) -> None:
    target = target_of("19041-x64")
    assert len(run("!for_each_module .echo @#ModuleName @#Base")) == len(target.names.modules)
    assert run("!for_each_module .echo @#ModuleName @#Base")[0].endswith(f"{target.names.modules[0].base:#x}")
    first = run("!for_each_module lmv m @#ModuleName")
    assert any("Image path:" in line for line in first)


def test_progress_is_told(target_of: TargetOf) -> None:
    target = target_of("7601-x64").copied()
    told: list[tuple[str, int]] = []
    target.progress = lambda what, done: told.append((what, done))
    with Shell(target) as shell:
        list(shell.run("!poolfind Irp"))
    assert told
    assert told[-1][0] == "pool pages"
    assert [done for _, done in told] == sorted(done for _, done in told)
