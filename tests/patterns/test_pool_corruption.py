from collections.abc import Callable

import pytest

from poolsleuth.model.facts import Where
from poolsleuth.model.finding import Confidence, Finding, Severity, Verdict
from poolsleuth.model.pool import NotPool, PoolBlock, PoolPage, PoolValidation
from poolsleuth.model.system import BugCheck

Judge = Callable[..., Finding]

ID = "pool-corruption"


def page(*sizes: int) -> PoolPage:
    blocks = tuple(PoolBlock(0x1000, size, None, False, "Abcd", False, Where(0, 7)) for size in sizes)
    return PoolPage(where=Where(0, 6), page=0x1000, region=None, pool=None, blocks=blocks, whole=False)


def check(code: int, *parameters: int, **more: str) -> BugCheck:
    return BugCheck(
        where=Where(0, 2),
        code=code,
        parameters=parameters,
        name=more.get("name"),
        image=more.get("image"),
        tag=more.get("tag"),
    )


def says(finding: Finding) -> str:
    return " | ".join(reason.says for reason in finding.because)


@pytest.mark.parametrize("code", [0x19, 0xC2, 0xC5, 0xD0])
def test_the_bug_checks_of_the_pool(finding: Judge, code: int) -> None:
    found = finding(ID, bugcheck=check(code))

    assert (found.verdict, found.severity, found.confidence) == (Verdict.FOUND, Severity.CRITICAL, Confidence.HIGH)
    assert f"0x{code:X}" in found.headline
    assert any("Driver Verifier with special pool" in step for step in found.next_steps)


def test_the_driver_on_the_stack_is_a_suspect_only(finding: Judge) -> None:
    found = finding(ID, bugcheck=check(0x19, 0x20, 1, 2, 3, image="Driver.sys", tag="Abcd"))

    assert found.subject.driver is None
    assert found.subject.tag == "Abcd"
    assert "Driver.sys was on the stack (a suspect, not proven)" in found.headline
    assert "the caller that hit the damage" in says(found)
    assert any("neighbour" in reason.says for reason in found.against)


@pytest.mark.parametrize(
    ("code", "page", "tag"), [(0x19, 0x8A43A000, None), (0x19, 0x8A43B000, "AAAA"), (0xC2, 0x8A43A000, "AAAA")]
)
def test_a_tag_out_of_a_damaged_header_is_nobodys(finding: Judge, code: int, page: int, tag: str | None) -> None:
    invalid = PoolValidation(
        where=Where(0, address=page), page=page, valid=False, errors=("a header was written over",)
    )

    found = finding(ID, invalid, bugcheck=check(code, 0x20, 0x8A43AA90, 0x8A43AA90, 0x41414141, tag="AAAA"))

    assert found.subject.tag == tag
    assert ("may be damaged as well" in says(found)) is (tag is None)


def test_the_first_argument_is_explained(finding: Judge) -> None:
    found = finding(ID, bugcheck=check(0x19, 0x20, 1, 2, 3))

    assert "first argument 0x20: " in says(found)


@pytest.mark.parametrize("code", [0xD1, 0x7F, 0x124])
def test_a_bug_check_of_another_kind(finding: Judge, code: int) -> None:
    judged = finding(ID, bugcheck=check(code, name="SOMETHING_ELSE"))

    assert (judged.verdict, judged.subject.driver) == (Verdict.RULED_OUT, None)
    assert f"0x{code:X} (SOMETHING_ELSE)" in judged.headline
    assert judged.because


def test_a_bug_check_nobody_knows(finding: Judge) -> None:
    judged = finding(ID, bugcheck=check(0xDEAD))

    assert judged.verdict is Verdict.RULED_OUT
    assert "no note on" in says(judged)


def test_an_invalid_page_is_found_without_a_bug_check(finding: Judge) -> None:
    invalid = PoolValidation(where=Where(0, 8), page=0xFFFF800000001000, valid=False, errors=("bad previous size",))

    found = finding(ID, invalid)

    assert (found.verdict, found.confidence) == (Verdict.FOUND, Confidence.MEDIUM)
    assert "bad previous size" in says(found)
    assert any("segment heap" in reason.says for reason in found.against)


def test_an_invalid_page_outranks_a_bug_check_of_another_kind(finding: Judge) -> None:
    invalid = PoolValidation(where=Where(0, 8), page=0x1000, valid=False, errors=())

    assert finding(ID, invalid, bugcheck=check(0xD1)).verdict is Verdict.FOUND


@pytest.mark.parametrize(("size", "verdict"), [(0x1010, Verdict.SUSPECTED), (0x1000, Verdict.NOT_ASSESSED)])
def test_a_block_larger_than_its_page(finding: Judge, size: int, verdict: Verdict) -> None:
    judged = finding(ID, page(0x20, size))

    assert (judged.verdict, judged.confidence) == (verdict, Confidence.LOW)


def test_sound_pages_are_a_sample_only(finding: Judge) -> None:
    judged = finding(ID, page(0x20, 0x40), page(0x100))

    assert judged.verdict is Verdict.NOT_ASSESSED
    assert "the 2 pages shown" in judged.headline


def test_a_clean_validation_finds_nothing(finding: Judge) -> None:
    clean = PoolValidation(where=Where(0, 8), page=0x1000, valid=True, errors=())
    unsaid = PoolValidation(where=Where(0, 8), page=0x2000, valid=None, errors=())

    assert not finding(ID, clean, unsaid).holds


def test_an_address_that_is_not_pool(finding: Judge) -> None:
    stranger = NotPool(where=Where(0, 4), address=0xFFFF80091002AC08, says="is not valid pool")

    judged = finding(ID, stranger)

    assert (judged.verdict, judged.confidence) == (Verdict.RULED_OUT, Confidence.LOW)
    assert "0xffff80091002ac08" in judged.headline


def test_without_evidence_the_commands_are_named(finding: Judge) -> None:
    judged = finding(ID)

    assert judged.verdict is Verdict.NOT_ASSESSED
    assert judged.next_steps == ("run `!analyze -v`", "run `!poolval <address>`")


@pytest.mark.parametrize("code", [0x7E, 0x1000007E, 0x3B])
def test_an_exception_nobody_handled_says_nothing_of_the_pool(finding: Judge, code: int) -> None:
    judged = finding(ID, bugcheck=check(code))

    assert judged.verdict is Verdict.NOT_ASSESSED
    assert "neither proves nor excludes" in judged.headline
