"""The names and addresses expected here stand in the quoted lines of real outputs."""

import io
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poolsleuth.evidence.debugger_log.reader import LogReader
from poolsleuth.model.modules import Module, ModuleList

SHARED = Path(__file__).parents[5] / "shared"

DRIVER = """3: kd> !lmi ndis
Loaded Module Info: [ndis]
         Module: ndis
   Base Address: fffff80e2e150000
     Image Name: \\SystemRoot\\system32\\drivers\\ndis.sys
   Machine Type: 34404 (X64)
     Time Stamp: 57f4c58d Wed Oct  5 02:19:09 2016
           Size: 128000
       CheckSum: 1213f7
Characteristics: 22
Debug Data Dirs: Type  Size     VA  Pointer
             CODEVIEW    21, 7b1b8,   79fb8 RSDS - GUID: {06A2E58C-996D-4419-81A0-BB293BD63BCA}
               Age: 1, Pdb: ndis.pdb
"""
REDACTED = """2: kd> !lmi f50b8058

Loaded Module Info: [f50b8058]

Module: {XXXXXXXX-XXXX-XXXX-XXXX-XXXXXXXXXXXX}

Base Address: f50b3000

Image Name: {XXXXXXXX-XXXX-XXXX-XXXX-XXXXXXXXXXXX}.sys

<SNIP>
"""

DAMAGES: dict[str, Callable[[str], str]] = {
    "as it was": lambda text: text,
    "double spaced": lambda text: text.replace("\n", "\n\n"),
    "collapsed": lambda text: "\n".join(re.sub(r"\s+", " ", line).strip() for line in text.splitlines()),
    "quoted": lambda text: "".join(f"> {line}\n" for line in text.splitlines()),
    "tabbed": lambda text: "".join(f"\t{line}\n" for line in text.splitlines()),
    "wrapped": lambda text: re.sub(r"(Image Name|Base Address): ", "\\1:\n", text),
    "without prompts": lambda text: re.sub(r"(?m)^.*kd> .*\n", "", text),
}


def modules(text: str) -> list[Module]:
    reader = LogReader(0)
    facts = list(reader.read(io.BytesIO(text.encode("utf-8", "replace"))))
    assert not [p for p in reader.problems if "could not be read" in p.says]
    lists = [fact for fact in facts if isinstance(fact, ModuleList)]
    assert not any(found.complete for found in lists)
    return [module for found in lists for module in found.modules]


@pytest.mark.parametrize("damage", DAMAGES)
def test_module(damage: str) -> None:
    (module,) = modules(DAMAGES[damage](DRIVER))
    # fffff80e2e150000 and the printed "Size: 128000" give the end
    assert (module.name, module.start, module.end) == ("ndis", 0xFFFFF80E2E150000, 0xFFFFF80E2E278000)
    assert (module.image, module.path) == ("ndis.sys", "\\SystemRoot\\system32\\drivers\\ndis.sys")
    assert module.timestamp is not None
    assert module.timestamp.startswith("57f4c58d")


@pytest.mark.parametrize("damage", DAMAGES)
def test_redacted_names_are_kept_as_printed(damage: str) -> None:
    (module,) = modules(DAMAGES[damage](REDACTED))
    assert module.name == "{XXXXXXXX-XXXX-XXXX-XXXX-XXXXXXXXXXXX}"
    assert module.image == "{XXXXXXXX-XXXX-XXXX-XXXX-XXXXXXXXXXXX}.sys"
    assert (module.start, module.end, module.path) == (0xF50B3000, None, None)


def test_a_lost_value_is_not_the_next_label() -> None:
    (module,) = modules("Loaded Module Info: [x]\nModule:\nBase Address: f50b3000\nImage Name: x.sys\n")
    assert (module.name, module.image) == ("x", "x.sys")


def test_no_module_no_fact() -> None:
    assert modules("Loaded Module Info: [app_web_k5dbkl5f]\napp_web_k5dbkl5f not found\n") == []
    assert modules("0:000> !lmi 00400000\nLoaded Module Info: [00400000]\n Module: Prymes\n") == []


SAMPLE = DRIVER + REDACTED


@settings(deadline=None)
@given(st.integers(0, len(SAMPLE)), st.integers(0, len(SAMPLE)), st.text(max_size=30))
def test_damaged_outputs_never_fail(start: int, end: int, inserted: str) -> None:
    for text in (SAMPLE[start:end], SAMPLE[:start] + inserted + SAMPLE[end:]):
        modules(text)


@pytest.mark.parametrize(
    "name", ["seeds/001_a69109390386e220.txt", "data/transcripts/002_srv2003_vm_poolused_t2_dps_lmi_flattened.txt"]
)
def test_real_files(name: str) -> None:
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"{name} is absent")
    (module,) = modules(path.read_text("utf-8"))
    assert (module.name, module.start) == ("{XXXXXXXX-XXXX-XXXX-XXXX-XXXXXXXXXXXX}", 0xF50B3000)
