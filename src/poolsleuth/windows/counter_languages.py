"""Names of pool counters on localised Windows: (object, counter) in lower case -> the same in English."""

TRANSLATIONS: dict[tuple[str, str], tuple[str, str]] = {}
