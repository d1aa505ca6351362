"""One sentence per kind of loss."""

import pytest

from poolsleuth.evidence.counters.blg.losses import MAX_DETAILS, Loss, Losses


def test_thousands_of_losses_are_one_sentence_each() -> None:
    losses = Losses(3)
    for number in range(5000):
        losses.add(Loss.EVENT, offset=number + 10)
        losses.add(Loss.KIND, detail=f"0x{number:04X}")
    losses.add(Loss.STATUS, 0)

    event, kind = losses.problems()
    assert event.says == "5,000 events could not be read: the log is damaged"
    assert event.where is not None
    assert (event.where.input, event.where.offset) == (3, 10)
    assert kind.says.startswith("5,000 blocks of values could not be read: of a kind that is not known (0x0000, ")
    assert kind.says.count("0x") == MAX_DETAILS
    assert kind.says.endswith(", ...)")


@pytest.mark.parametrize("loss", Loss)
def test_every_kind_reads_as_a_sentence(loss: Loss) -> None:
    one, many = loss.sentence(1, ""), loss.sentence(2, "")

    assert one.startswith("1 ")
    noun, counted = one[2:].partition(" could")[0], many[2:].partition(" could")[0]
    assert counted in {f"{noun}s", noun.replace("block ", "blocks ")} - {noun}
    assert one.count(" could not be ") == 1
