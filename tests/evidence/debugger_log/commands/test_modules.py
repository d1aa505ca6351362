"""The names and addresses expected here stand in the quoted lines of real outputs."""

import io
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poolsleuth.evidence.debugger_log.reader import LogReader
from poolsleuth.model.facts import Fact
from poolsleuth.model.modules import ModuleList, UnloadedModules

SHARED = Path(__file__).parents[5] / "shared"

FILTERED = """kd> lm m s*
start    end        module name
f9f73000 f9f7fd80   sysaudio     (deferred)                 
fa04b000 fa09b400   srv          (deferred)                 
fb008000 fb00ba80   serenum      e:\\mysymbols\\SereEnum.pdb\\.......

Unloaded modules:
f9f53000 f9f61000   swmidi.sys
fb040000 fb043000   Sfloppy.SYS
"""  # noqa: W291
WHOLE = """0: kd> lm
start             end                 module name
fffff800`02a0d000 fffff800`02ff7000   nt       T (pdb symbols)          c:\\sym\\ntkrnlmp.pdb\\38\\ntkrnlmp.pdb
fffff800`02ff7000 fffff800`03040000   hal        (deferred)
fffff880`0297a000 fffff880`02984000   my driver  # (no symbols)
fffff960`00000000 fffff960`00316000   win32k   C (export symbols)       win32k.sys

Unloaded modules:
fffff880`01dcb000 fffff880`01dd9000   crashdmp.sys
fffff880`01dcb000 fffff880`01dd9000   dump_ataport
    Timestamp: unavailable (00000000)
    Checksum:  00000000
    ImageSize:  0000E000
"""
VERBOSE = """0: kd> lmvm nvlddmkm
Browse full module list
start             end                 module name
fffff802`68fa0000 fffff802`6b406000   nvlddmkm   (deferred)
    Image path: \\SystemRoot\\System32\\DriverStore\\nv_dispi\\nvlddmkm.sys
    Image name: nvlddmkm.sys
    Browse all global symbols  functions  data
    Timestamp:        Tue Sep 14 07:52:22 2021 (613FE436)
    CheckSum:         023C784A
    ImageSize:        02466000
    File version:     30.0.14.7168
    CompanyName:      NVIDIA Corporation
    FileDescription:  Kernel Mode Driver
"""
IMAGES = """kd> lm t n
start    end        module name
804d7000 806fd000   nt       ntkrnlpa.exe Wed Aug 04 00:58:36 2004 (41107B0C)
806fd000 8071dd00   hal      \\WINDOWS\\system32\\hal.dll Wed Aug 04 00:59:05 2004 (41107B29)
f9f73000 f9f7fd80   sr       Tue Aug 03 23:06:22 2004 (411060CE)
"""

DAMAGES: dict[str, Callable[[str], str]] = {
    "as it was": lambda text: text,
    "double spaced": lambda text: text.replace("\n", "\n\n"),
    "collapsed": lambda text: "\n".join(re.sub(r"\s+", " ", line).strip() for line in text.splitlines()),
    "quoted": lambda text: "".join(f"> {line}\n" for line in text.splitlines()),
    "tabbed": lambda text: "".join(f"\t{line}\n" for line in text.splitlines()),
    "padded with NBSP": lambda text: text.replace("  ", "\u00a0 "),
    "CR LF": lambda text: text.replace("\n", "\r\n"),
    "wrapped": lambda text: re.sub(r"(?m)^([0-9a-f`]{8,17} [0-9a-f`]{8,17}) +", r"\1\n   ", text),
}


def read(text: str) -> list[Fact]:
    reader = LogReader(0)
    facts = list(reader.read(io.BytesIO(text.encode("utf-8", "replace"))))
    assert not [p for p in reader.problems if "could not be read" in p.says]
    return facts


def loaded(text: str) -> ModuleList:
    (found,) = [fact for fact in read(text) if isinstance(fact, ModuleList)]
    return found


def unloaded(text: str) -> UnloadedModules:
    (found,) = [fact for fact in read(text) if isinstance(fact, UnloadedModules)]
    return found


@pytest.mark.parametrize("damage", DAMAGES)
def test_filtered_list(damage: str) -> None:
    text = DAMAGES[damage](FILTERED)
    found = loaded(text)
    assert [(m.name, m.start, m.end) for m in found.modules] == [
        ("sysaudio", 0xF9F73000, 0xF9F7FD80),
        ("srv", 0xFA04B000, 0xFA09B400),
        ("serenum", 0xFB008000, 0xFB00BA80),
    ]
    assert (found.complete, found.address_bits) == (False, 32)
    assert all(m.image is None and m.path is None for m in found.modules)
    gone = unloaded(text)
    assert [(m.name, m.start) for m in gone.modules] == [("swmidi.sys", 0xF9F53000), ("Sfloppy.SYS", 0xFB040000)]
    assert gone.address_bits == 32


@pytest.mark.parametrize("damage", DAMAGES)
def test_whole_list_with_flags(damage: str) -> None:
    text = DAMAGES[damage](WHOLE)
    found = loaded(text)
    assert [m.name for m in found.modules] == ["nt", "hal", "my driver", "win32k"]
    assert (found.complete, found.address_bits) == (True, 64)
    assert (found.modules[0].start, found.modules[0].end) == (0xFFFFF80002A0D000, 0xFFFFF80002FF7000)
    assert [m.name for m in unloaded(text).modules] == ["crashdmp.sys", "dump_ataport"]


@pytest.mark.parametrize("damage", DAMAGES)
def test_details(damage: str) -> None:
    (module,) = loaded(DAMAGES[damage](VERBOSE)).modules
    assert (module.name, module.image) == ("nvlddmkm", "nvlddmkm.sys")
    assert module.path == "\\SystemRoot\\System32\\DriverStore\\nv_dispi\\nvlddmkm.sys"
    assert (module.company, module.version) == ("NVIDIA Corporation", "30.0.14.7168")
    assert module.timestamp == "Tue Sep 14 07:52:22 2021 (613FE436)"


@pytest.mark.parametrize("damage", DAMAGES)
def test_images_and_times(damage: str) -> None:
    nt, hal, sr = loaded(DAMAGES[damage](IMAGES)).modules
    assert (nt.name, nt.image, nt.timestamp) == ("nt", "ntkrnlpa.exe", "Wed Aug 04 00:58:36 2004 (41107B0C)")
    assert (hal.name, hal.image, hal.path) == ("hal", "hal.dll", "\\WINDOWS\\system32\\hal.dll")
    assert (sr.name, sr.image, sr.timestamp) == ("sr", None, "Tue Aug 03 23:06:22 2004 (411060CE)")


@pytest.mark.parametrize(
    ("change", "complete"),
    [
        (lambda text: text, True),
        (lambda text: text.replace("kd> lm", "kd> lm kv"), True),
        (lambda text: text.replace("kd> lm", "kd> lmDvm nt"), False),
        (lambda text: text.replace("kd> lm", "kd> lm a fffff80002a0d000"), False),
        (lambda text: text.replace("kd> lm", "kd> lml"), False),
        (lambda text: text.replace("0: kd> lm\n", ""), False),  # it may have been filtered
        (lambda text: re.sub(r"(?m)^start .*\n", "", text), False),
        (lambda text: re.sub(r"(?m)^.* nt .*\n", "", text), False),
        (lambda text: re.sub(r"(?m)^.* hal .*\n", "...\n", text), False),
    ],
)
def test_only_a_plain_list_is_complete(change: Callable[[str], str], complete: bool) -> None:
    assert loaded(change(WHOLE)).complete is complete


def test_an_empty_loaded_part() -> None:
    text = (
        "0: kd> lmv m MyAVDrv.sys\nstart    end        module name\n\nUnloaded modules:\n"
        "a5069000 a5084000   MyAVDrv.sys\n    Timestamp: unavailable (00000000)\n    Checksum:  00000000\n"
        "a5069000 a5084000   MyAVDrv.sys\n    Timestamp: unavailable (00000000)\n    Checksum:  00000000\n"
    )
    assert [type(fact) for fact in read(text)] == [UnloadedModules]
    # Twice the same range: it was loaded and unloaded twice
    assert [(m.name, m.start, m.end) for m in unloaded(text).modules] == [("MyAVDrv.sys", 0xA5069000, 0xA5084000)] * 2


def test_rows_without_header() -> None:
    found = loaded("804d7000 806fd000   nt         (pdb symbols)\n80700000 80720000   hal (deferred)\n")
    assert [m.name for m in found.modules] == ["nt", "hal"]
    assert not found.complete


def test_user_mode_lists_are_not_the_kernels() -> None:
    assert read("0:002> lm\n" + WHOLE[WHOLE.index("start") :]) == []


def test_pointers_are_no_modules() -> None:
    text = "start    end        module name\nf50b8058 f5894d1f nt!ExAllocatePool\n80526da0 80526000 x\n"
    assert read(text) == []


SAMPLE = FILTERED + WHOLE + VERBOSE + IMAGES


@settings(deadline=None)
@given(st.integers(0, len(SAMPLE)), st.integers(0, len(SAMPLE)), st.text(max_size=30))
def test_damaged_outputs_never_fail(start: int, end: int, inserted: str) -> None:
    for text in (SAMPLE[start:end], SAMPLE[:start] + inserted + SAMPLE[end:]):
        for fact in read(text):
            if isinstance(fact, ModuleList):
                assert all(m.start is not None and m.end is not None and m.start < m.end for m in fact.modules)


@pytest.mark.parametrize(
    ("name", "names"),
    [
        ("data/transcripts/008_w2k_vm_poolused4_myav_lmv_locks.txt", ["MyAVDrv.sys"] * 6),
        ("seeds/002_3328612633af358e.txt", ["MyAVDrv.sys"] * 6),
        ("data/transcripts/019_xp_lm_unloaded.txt", ["swmidi.sys", "splitter.sys", "Sfloppy.SYS"]),
    ],
)
def test_real_files(name: str, names: list[str]) -> None:
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"{name} is absent")
    text = path.read_text("utf-8")
    assert [m.name for m in unloaded(text).modules] == names
    if "019" in name:
        assert [m.name for m in loaded(text).modules] == ["sysaudio", "srv", "sr", "serial", "serenum", "swenum"]


@pytest.mark.parametrize(
    "remark",
    [
        "   <- !!",
        " <<<< this one",
        "   (unloaded 3 times)",
        "  // look",
        "    Timestamp: unavailable (00000000)",
        " # here",
        "   and a long remark that somebody wrote behind it, longer than any name could ever be",
    ],
)
def test_a_remark_behind_an_unloaded_module_does_not_lose_it(remark: str) -> None:
    text = f"Unloaded modules:\na5069000 a5084000   MyAVDrv.sys{remark}\nfb040000 fb043000   Sfloppy.SYS\n"
    (fact,) = LogReader(0).read(io.BytesIO(text.encode()))
    assert isinstance(fact, UnloadedModules)
    assert [module.name for module in fact.modules] == ["MyAVDrv.sys", "Sfloppy.SYS"]
