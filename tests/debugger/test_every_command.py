"""Every command over every kind of dump, also damaged ones: an answer or a sentence, never a traceback."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from functools import cache
from pathlib import Path
from random import Random

import pytest

from poolsleuth.cli.shell import opened
from poolsleuth.debugger.registry import COMMANDS, find_command
from poolsleuth.debugger.shell import Shell
from poolsleuth.debugger.target import Target
from poolsleuth.evidence.dump.options import DumpOptions
from poolsleuth.lab.catalogue import windows_named
from poolsleuth.lab.containers.kinds import DumpKind
from poolsleuth.lab.simulate import simulate
from poolsleuth.lab.stories import make_machine, small_size
from poolsleuth.model.errors import InputError

DUMPS = Path(__file__).parents[3] / "shared" / "data" / "dumps"
EXAMPLES = (
    "!vm", "!vm 5", "!poolused", "!poolused /t3 1", "!poolused 8", "!poolused f L*", "!pool nt", "!pool 82510000 3",
    "!poolfind Irp", "!poolfind * 1", "!poolval nt", "!poolval 82510000", "!xpool -map", "!kdex2x86.xpool -map",
    "!lookaside", "!lookaside nt", "!sysptes", "!sysptes 5", "lm", "lmv m nt", "lmvm tcpip", "!lmi nt", "!lmi nt+10",
    "!dh nt", "!dh -f -s -i tcpip", "!locks", "!locks -v", "!process 0 0", "!process 4 0", "!process -1 0",
    "!process 0 0 System", ".process", ".process /r /p 4", ".process 0", "!session", "!session -s 0", "!session -s -1",
    "!sprocess 0", "!sprocess -4", "vertarget", ".time", ".bugcheck", "!analyze", "!analyze -v", "db nt", "dd nt L4",
    "dq nt", "dp nt", "dps nt", "dds nt", "dqs nt", "db 0", "!pte nt", "!pte 0", "!vtop 0 nt", "u nt", "u nt L3",
    "dt nt!*", "dt _POOL_HEADER", "dt _EPROCESS @$proc", "dt _LIST_ENTRY nt", "x nt!Pool*", "x *!Ex*", "ln nt",
    "? nt+1", ".formats nt", "s -d nt L?100 0", 's -a nt L?1000 "MZ"', "!for_each_module s-d @#Base @#End 12345678",
    "!for_each_module !lmi @#Base", "!for_each_module .echo @#ModuleName", "!for_each_module lm", ".sympath", ".reload",
)  # fmt: skip


def test_every_command_has_an_example() -> None:
    called = [find_command(example) for example in EXAMPLES]
    assert {found[0].usage for found in called if found is not None} == {command.usage for command in COMMANDS}
    for command in COMMANDS:
        for word in command.words:
            found = find_command(f"{word} 1")
            assert found is not None, word
            assert found[0] is command, word


@pytest.mark.parametrize("text", ["!VM 1", "!kdexts.vm", "!w2kfre\\kdex2x86.xpool -map", "!ext.analyze -v", ".TIME"])
def test_names_as_the_debugger_takes_them(text: str) -> None:
    assert find_command(text) is not None


KINDS = {
    "symbols": ("19041-x64", DumpKind.BITMAP_KERNEL, "session-full"),
    "no symbols": ("3790-x86-pae", DumpKind.SUMMARY, "fragmentation"),
    "no sessions": ("2600-x86", DumpKind.SUMMARY, "untagged"),
    "no layouts": ("6002-x64", DumpKind.SUMMARY, "leak"),
    "raw": ("22000-x64", DumpKind.RAW, "leak"),
    "segment heap": ("20348-x64", DumpKind.BITMAP_KERNEL, "leak"),
}


@cache
def written(kind: str, folder: Path) -> Path:
    name, container, story = KINDS[kind]
    path = folder / f"{kind}.dmp"
    size = replace(small_size(), ram_bytes=512 << 20)
    simulate(make_machine(windows_named(name), story, size=size)).write(path, container)
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("every")


def check(target: Target, examples: tuple[str, ...] = EXAMPLES) -> None:
    with Shell(target) as shell:
        for example in examples:
            lines = list(shell.run(example))[1:-1]
            assert lines or "s-d" in example or example.startswith("s "), example
            for line in lines:
                assert "internal error" not in line, (example, line)
                assert line.replace("\t", "").isprintable(), (example, line)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_dump(kind: str, folder: Path) -> None:
    with opened(str(written(kind, folder)), DumpOptions(offline=True)) as target:
        check(target)


@pytest.mark.skipif(not DUMPS.is_dir(), reason="the real dumps are not there")
def test_a_real_small_memory_dump() -> None:
    with opened(str(DUMPS / "triage_x64.dmp"), DumpOptions(offline=True)) as target:
        check(target)


def damaged(raw: bytes, how: str, random: Random) -> bytes:
    if how == "cut":
        return raw[: len(raw) * random.randrange(40, 95) // 100]
    changed = bytearray(raw)
    if how == "pages zeroed":
        for _ in range(len(raw) // 4096 // 8):
            at = random.randrange(8, len(raw) // 4096) * 4096
            changed[at : at + 4096] = bytes(4096)
    else:
        for _ in range(min(len(raw) // 512, 30_000)):
            at = random.randrange(0x8000, len(raw) - 8)
            changed[at : at + 4] = random.choice([b"\xff" * 4, b"\0" * 4, random.randbytes(4), raw[at + 4 : at + 8]])
    return bytes(changed)


@pytest.mark.parametrize("how", ["cut", "pages zeroed", "bytes changed"])
@pytest.mark.parametrize("kind", ["symbols", "no symbols"])
def test_damaged_dumps(kind: str, how: str, folder: Path) -> None:
    opened_some = False
    with ExitStack() as stack:
        for seed in range(1 if kind == "symbols" else 2):
            path = folder / "damaged.dmp"
            path.write_bytes(damaged(written(kind, folder).read_bytes(), how, Random(seed)))
            try:
                target = stack.enter_context(opened(str(path), DumpOptions(offline=True)))
            except InputError:
                continue  # no kernel can be found any more
            opened_some = True
            check(target)
    assert opened_some or how != "pages zeroed"


def test_control_characters_of_a_dump_do_not_get_out(target_of: Callable[..., Target], folder: Path) -> None:
    raw = written("no symbols", folder).read_bytes()
    name, evil = "tcpip.sys".encode("utf-16-le"), "\x1b[2J\r\nkd".encode("utf-16-le")
    assert raw.count(name) > 0
    path = folder / "evil.dmp"
    path.write_bytes(raw.replace(name, evil.ljust(len(name), b"\x07")[: len(name)]))

    def lines() -> Iterator[str]:
        with opened(str(path), DumpOptions(offline=True)) as target, Shell(target) as shell:
            for command in ("lm", "lmv m *", "!for_each_module .echo @#ModuleName", "!for_each_module !lmi @#Base"):
                yield from shell.run(command)

    assert all(line.isprintable() for line in lines())
