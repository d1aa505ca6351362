"""The addresses expected here stand in the quoted lines of real outputs."""

import io
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poolsleuth.evidence.debugger_log.reader import LogReader
from poolsleuth.model.modules import PointerTable

SHARED = Path(__file__).parents[5] / "shared"

IMPORTS = """2: kd> dps f50b8058
f50b8058  e0894d1f nt!ExAllocatePool
f50b805c  e0828e04 nt!_wcsnicmp
f50b8060  e089b708 nt!ExFreePoolWithTag
f50b8064  00000000
f50b8068  f50b3010 mydrv+0x10
<SNIP>
"""
IMPORTS64 = """0: kd> dqs fffff800`15ed7000
fffff800`15ed7010  fffff800`128e1450 ndis!NdisGetJobObjectCompartmentId
fffff800`15ed7018  fffff800`12837a20 ndis!NdisGetThreadObjectCompartmentId
fffff800`15ed7020  00000000`00000000
"""

DAMAGES: dict[str, Callable[[str], str]] = {
    "as it was": lambda text: text,
    "double spaced": lambda text: text.replace("\n", "\n\n"),
    "collapsed": lambda text: "\n".join(re.sub(r"\s+", " ", line).strip() for line in text.splitlines()),
    "quoted": lambda text: "".join(f"> {line}\n" for line in text.splitlines()),
    "tabbed": lambda text: "".join(f"\t{line}\n" for line in text.splitlines()),
    "wrapped": lambda text: text.replace(" nt!ExFree", "\nnt!ExFree"),
    "remarks": lambda text: re.sub(r"(?m)(wcsnicmp|CompartmentId)$", r"\1  <-- look", text),
    "without prompts": lambda text: re.sub(r"(?m)^.*kd> .*\n", "", text),
}


def tables(text: str) -> list[PointerTable]:
    reader = LogReader(0)
    facts = list(reader.read(io.BytesIO(text.encode("utf-8", "replace"))))
    assert not [p for p in reader.problems if "could not be read" in p.says]
    return [fact for fact in facts if isinstance(fact, PointerTable)]


@pytest.mark.parametrize("damage", DAMAGES)
def test_import_table(damage: str) -> None:
    (table,) = tables(DAMAGES[damage](IMPORTS))
    assert table.is_import_table
    assert table.address_bits == 32
    assert [(row.address, row.value, row.symbol) for row in table.rows][:4] == [
        (0xF50B8058, 0xE0894D1F, "nt!ExAllocatePool"),
        (0xF50B805C, 0xE0828E04, "nt!_wcsnicmp"),
        (0xF50B8060, 0xE089B708, "nt!ExFreePoolWithTag"),
        (0xF50B8064, 0, None),
    ]


@pytest.mark.parametrize("damage", DAMAGES)
def test_import_table_of_64_bits(damage: str) -> None:
    (table,) = tables(DAMAGES[damage](IMPORTS64))
    assert (table.is_import_table, table.address_bits, len(table.rows)) == (True, 64, 3)
    assert table.rows[1].symbol == "ndis!NdisGetThreadObjectCompartmentId"


def test_gaps_part_tables() -> None:
    text = IMPORTS.replace(
        "<SNIP>\n", "<SNIP>\nf50b9000  e0894d1f nt!ExAllocatePool\nf50b9004  e0828e04 nt!_wcsnicmp\n"
    )
    assert [len(table.rows) for table in tables(text)] == [5, 2]


@pytest.mark.parametrize(
    "text",
    [
        "ChildEBP RetAddr\nf7a3fc5c 80526da0 nt!DbgBreakPointWithStatus\nf7a3fc78 8052a0d0 nt!KeBugCheckEx\n",
        "Child-SP          RetAddr           Call Site\n"
        "fffff880`0a1b2c30 fffff800`02c5f4d2 nt!KeBugCheckEx\n"
        "fffff880`0a1b2d30 fffff800`02c5f4d2 nt!KiBugCheckDispatch\n",
        "e0894d1f nt!ExAllocatePool\n",
        "f50b8058  e0894d1f e0828e04 e089b708 e084011b  .M..............\n",
        "0:002> dps 00401000\n" + IMPORTS[IMPORTS.index("\n") + 1 :],
    ],
)
def test_rows_that_are_no_table(text: str) -> None:
    assert tables(text) == []


def test_stack_as_pointers_is_no_import_table() -> None:
    rows = ["nt!A", "nt!B", "nt!C+0x1", "nt!D+0x2", "nt!E+0x3"]
    text = "".join(f"{0xF7A3FC00 + n * 4:x}  8052{n:04x} {symbol}\n" for n, symbol in enumerate(rows))
    (table,) = tables(text)
    assert (len(table.rows), table.is_import_table) == (5, False)
    assert table.rows[2].symbol == "nt!C+0x1"


def test_table_of_services_is_no_import_table() -> None:
    text = "kd> dps nt!KiServiceTable\n82a8f5fc 82c8f06a nt!NtAcceptConnectPort\n82a8f600 82ad2739 nt!NtAccessCheck\n"
    (table,) = tables(text)
    assert not table.is_import_table


SAMPLE = IMPORTS + IMPORTS64


@settings(deadline=None)
@given(st.integers(0, len(SAMPLE)), st.integers(0, len(SAMPLE)), st.text(max_size=30))
def test_damaged_outputs_never_fail(start: int, end: int, inserted: str) -> None:
    for text in (SAMPLE[start:end], SAMPLE[:start] + inserted + SAMPLE[end:]):
        for table in tables(text):
            assert len(table.rows) >= 2


@pytest.mark.parametrize(
    "name", ["seeds/001_a69109390386e220.txt", "data/transcripts/002_srv2003_vm_poolused_t2_dps_lmi_flattened.txt"]
)
def test_real_files(name: str) -> None:
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"{name} is absent")
    (table,) = tables(path.read_text("utf-8"))
    assert (len(table.rows), table.is_import_table) == (4, True)
