"""Keeps the facts of a log within a bound: a log of a gigabyte may repeat its tables ten thousand times."""

from poolsleuth.model.facts import Fact

MAX_WEIGHT = 200_000  # rows kept of one log, about 80 MB; real logs have some thousands


def weight_of(fact: Fact) -> int:
    """How many rows a fact holds (1 for a fact without rows)."""
    return 1 + sum(
        len(value) for name in fact.__dataclass_fields__ if isinstance(value := getattr(fact, name), tuple | dict)
    )


class BoundedFacts:
    """Facts in order. When they weigh too much, every second one of the heaviest kind goes, never its first or last.

    What stays is spread evenly over the log, so that the first and the last capture and the course between survive.
    """

    def __init__(self, limit: int = MAX_WEIGHT) -> None:
        self._limit = limit
        self._facts: list[tuple[Fact, int]] = []  # with their weights
        self._weight = 0
        self.dropped: dict[str, int] = {}

    def add(self, fact: Fact) -> None:
        """Keep a fact, and thin out the others when the bound is passed."""
        weight = weight_of(fact)
        self._facts.append((fact, weight))
        self._weight += weight
        while self._weight > self._limit and self._thin():
            pass

    def _thin(self) -> bool:
        weights: dict[type, int] = {}
        for fact, weight in self._facts:
            weights[type(fact)] = weights.get(type(fact), 0) + weight
        for kind in sorted(weights, key=lambda k: -weights[k]):
            places = [index for index, (fact, _) in enumerate(self._facts) if type(fact) is kind]
            victims = set(places[1:-1:2])
            if not victims:
                continue
            self.dropped[kind.__name__] = self.dropped.get(kind.__name__, 0) + len(victims)
            self._facts = [kept for index, kept in enumerate(self._facts) if index not in victims]
            self._weight = sum(weight for _, weight in self._facts)
            return True
        return False

    def facts(self) -> tuple[Fact, ...]:
        """What is kept, in the order of the log."""
        return tuple(fact for fact, _ in self._facts)
