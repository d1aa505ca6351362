r"""Names of counters on localised Windows, and where each was seen.

Windows numbers its own counters alike in every language (the perflib indexes in ``PERFLIB``), but a text log carries
names only. Nothing here is translated by us: a name stands here only when it was read somewhere, and the row says how
near to a real machine that was. Languages without rows: nothing was found. Of Simplified Chinese it is said in public
scripts that its names are the English ones.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

English: TypeAlias = tuple[str, str]


class Confidence(StrEnum):
    """How near to a real machine a name was seen."""

    LISTED = "listed"  # in a list of counters that a Windows of that language printed
    USED = "used"  # in a script, template or log that names the counter on such a Windows
    DOCUMENTED = "documented"  # in translated documentation, which is not always worded as Windows is


@dataclass(frozen=True, slots=True)
class Translation:
    """One counter's name on a localised Windows. ``language`` is a language tag, ``english`` in lower case."""

    language: str
    object: str
    counter: str
    english: English
    confidence: Confidence


PERFLIB: dict[str, int] = {
    "system": 2,
    "memory": 4,
    "available bytes": 24,
    "committed bytes": 26,
    "commit limit": 30,
    "pool paged bytes": 56,
    "pool nonpaged bytes": 58,
    "pool paged allocs": 60,
    "pool nonpaged allocs": 64,
    "pool paged resident bytes": 66,
    "process": 230,
    "physicaldisk": 234,
    "logicaldisk": 236,
    "processor": 238,
    "system up time": 674,
    "free system page table entries": 678,
    "elapsed time": 684,
    "id process": 784,
    "handle count": 952,
    "available kbytes": 1380,
    "available mbytes": 1382,
}
"""The index under which Windows keeps a name in every language: the titles of an English .blg and the German list
below agree in all of them. A .blg of whole objects carries it, a text log does not."""

_Rows: TypeAlias = tuple[tuple[str, str, str], ...]  # object (a key of the language's objects), English, localised

# A German Windows (late enough to have NUMA counters): what the registry's Perflib\CurrentLanguage lists, printed into
# a public script. Each name was matched with the English one by its perflib index, in the titles of a real English .blg
# (the NUMA counters, which that is too old for, by their place in the list)
_GERMAN_LISTED: _Rows = (
    ("memory", "available bytes", "Verfügbare Bytes"),
    ("memory", "available kbytes", "Verfügbare KB"),
    ("memory", "available mbytes", "Verfügbare MB"),
    ("memory", "committed bytes", "Zugesicherte Bytes"),
    ("memory", "commit limit", "Zusagegrenze"),
    ("memory", "pool paged bytes", "Auslagerungsseiten (Bytes)"),
    ("memory", "pool nonpaged bytes", "Nicht-Auslagerungsseiten (Bytes)"),
    ("memory", "pool paged allocs", "Auslagerungsseiten reserviert"),
    ("memory", "pool nonpaged allocs", "Nichtauslagerungsseiten reserviert"),
    ("memory", "pool paged resident bytes", "Auslagerungsseiten: Residente Bytes"),
    ("memory", "free system page table entries", "Freie Seitentabelleneinträge"),
    ("numa node memory", "total mbytes", "MB gesamt"),
    ("process", "pool paged bytes", "Auslagerungsseiten (Bytes)"),
    ("process", "pool nonpaged bytes", "Nicht-Auslagerungsseiten (Bytes)"),
    ("process", "handle count", "Handleanzahl"),
    ("process", "id process", "Prozesskennung"),
    ("process", "elapsed time", "Verstrichene Zeit"),
    ("system", "system up time", "Systembetriebszeit"),
    ("system", "processes", "Prozesse"),
    ("system", "threads", "Threads"),
    ("system", "file data operations/sec", "Dateivorgänge/s"),
    ("system", "system calls/sec", "Systemaufrufe/s"),
    ("objects", "processes", "Prozesse"),
    ("objects", "threads", "Threads"),
    ("objects", "events", "Ereignisse"),
    ("objects", "semaphores", "Semaphore"),
    ("objects", "mutexes", "Mutexe"),
    ("objects", "sections", "Abschnitte"),
    ("processor", "% processor time", "Prozessorzeit (%)"),
    ("physicaldisk", "disk bytes/sec", "Bytes/s"),
    ("physicaldisk", "disk transfers/sec", "Übertragungen/s"),
    ("logicaldisk", "disk bytes/sec", "Bytes/s"),
    ("logicaldisk", "disk transfers/sec", "Übertragungen/s"),
    ("tcpv4", "connections established", "Hergestellte Verbindungen"),
    ("server", "pool nonpaged failures", "Nicht-Auslagerungsseitenfehler"),
    ("server", "pool paged failures", "Auslagerungsseitenfehler"),
    ("server", "bytes total/sec", "Gesamtanzahl Bytes/s"),
    ("server", "server sessions", "Serversitzungen"),
    ("server", "files open", "Geöffnete Dateien"),
    ("server", "work item shortages", "Nicht genügend Arbeitselemente"),
    ("network interface", "bytes total/sec", "Gesamtanzahl Bytes/s"),
    ("network interface", "packets/sec", "Pakete/s"),
)
# A French Windows: the list of all its counters as calls of Get-Counter, kept in a public script
_FRENCH_LISTED: _Rows = (
    ("memory", "available bytes", "Octets disponibles"),
    ("memory", "available kbytes", "Kilo-octets disponibles"),
    ("memory", "available mbytes", "Mégaoctets disponibles"),
    ("memory", "committed bytes", "Octets validés"),
    ("memory", "commit limit", "Limite de mémoire dédiée"),
    ("memory", "pool paged bytes", "Octets de réserve paginée"),
    ("memory", "pool nonpaged bytes", "Octets de réserve non paginée"),
    ("memory", "pool paged allocs", "Allocations de réserve paginée"),
    ("memory", "pool nonpaged allocs", "Allocations de réserve non paginée"),
    ("memory", "pool paged resident bytes", "Octets résidants de réserve paginée"),
    ("memory", "free system page table entries", "Entrées libres en table des pages système"),
    ("system", "system up time", "Temps d'activité système"),
    ("system", "processes", "Processus"),
    ("system", "threads", "Threads"),
    ("system", "file data operations/sec", "Opérations de fichier/s"),
    ("system", "system calls/sec", "Appels système/s"),
    ("processor", "% processor time", "% temps processeur"),
    ("tcpv4", "connections established", "Connexions établies"),
)
# Memory and Process share these two names (one perflib index each); translated documentation has them for Process too
_FRENCH_USED: _Rows = (
    ("process", "pool paged bytes", "Octets de réserve paginée"),
    ("process", "pool nonpaged bytes", "Octets de réserve non paginée"),
)
# Tables of Microsoft's translated documentation of Azure's guest metrics
_SPANISH_DOCUMENTED: _Rows = (
    ("memory", "available bytes", "Bytes disponibles"),
    ("memory", "committed bytes", "Bytes confirmados"),
    ("memory", "commit limit", "Límite de confirmación"),
    ("memory", "pool paged bytes", "Bytes de bloque paginado"),
    ("memory", "pool nonpaged bytes", "Bytes de bloque no paginado"),
)
_SPANISH_USED: _Rows = (
    ("process", "id process", "Id. de proceso"),
    ("processor", "% processor time", "% de tiempo de procesador"),
)
_PORTUGUESE_DOCUMENTED: _Rows = (
    ("memory", "available bytes", "Bytes disponíveis"),
    ("memory", "committed bytes", "Bytes confirmados"),
    ("memory", "commit limit", "Limite de confirmação"),
    ("memory", "pool paged bytes", "Bytes de pool pagináveis"),
    ("memory", "pool nonpaged bytes", "Bytes de pool não pagináveis"),
    # The wording of other translated pages
    ("memory", "pool paged bytes", "Bytes de pool paginável"),
    ("memory", "pool nonpaged bytes", "Bytes de pool não paginável"),
)
# A monitor for Italian Windows
_ITALIAN_USED: _Rows = (
    ("memory", "available bytes", "Byte disponibili"),
    ("memory", "committed bytes", "Byte vincolati"),
    ("memory", "commit limit", "Limite memoria vincolata"),
    ("numa node memory", "total mbytes", "Totale MB"),
    ("processor", "% processor time", "% Tempo processore"),
)
_ITALIAN_DOCUMENTED: _Rows = (
    ("memory", "pool paged bytes", "Byte del pool di paging"),
    ("memory", "pool nonpaged bytes", "Byte del pool non di paging"),
)
# Templates of Zabbix, scripts, and the header of a log that Windows wrote
_RUSSIAN_USED: _Rows = (
    ("memory", "available bytes", "Доступно байт"),
    ("memory", "available mbytes", "Доступно МБ"),
    ("memory", "pool paged bytes", "Байт в выгружаемом страничном пуле"),
    ("memory", "pool nonpaged bytes", "Байт в невыгружаемом страничном пуле"),
    ("memory", "free system page table entries", "Свободных элементов таблицы страниц"),
    ("process", "id process", "Идентификатор процесса"),
    ("processor", "% processor time", "% загруженности процессора"),
)
# A command line of typeperf
_POLISH_USED: _Rows = (
    ("memory", "available bytes", "Dostępne bajty"),
    ("memory", "committed bytes", "Zadeklarowane bajty"),
)

# The names of the objects, by language; an article on German Windows XP and Server 2003 has "Speicher" for Memory
_OBJECTS: dict[str, dict[str, tuple[str, ...]]] = {
    "de": {
        "memory": ("Arbeitsspeicher", "Speicher"),
        "numa node memory": ("Arbeitsspeicher für NUMA-Knoten",),
        "process": ("Prozess",),
        "system": ("System",),
        "objects": ("Objekte",),
        "processor": ("Prozessor",),
        "physicaldisk": ("Physikalischer Datenträger",),
        "logicaldisk": ("Logischer Datenträger",),
        "tcpv4": ("TCPv4",),
        "server": ("Server",),
        "network interface": ("Netzwerkschnittstelle",),
    },
    "fr": {
        "memory": ("Mémoire",),
        "process": ("Processus",),
        "system": ("Système",),
        "processor": ("Processeur",),
        "tcpv4": ("TCPv4",),
    },
    "es": {"memory": ("Memoria",), "process": ("Proceso",), "processor": ("Procesador",)},
    "pt-BR": {"memory": ("Memória",)},
    "it": {
        "memory": ("Memoria",),
        "numa node memory": ("Memoria nodo NUMA",),
        "processor": ("Processore",),
    },
    "ru": {"memory": ("Память",), "process": ("Процесс",), "processor": ("Процессор",)},
    "pl": {"memory": ("Pamięć",)},
}
_SOURCES: tuple[tuple[str, Confidence, _Rows], ...] = (
    ("de", Confidence.LISTED, _GERMAN_LISTED),
    ("fr", Confidence.LISTED, _FRENCH_LISTED),
    ("fr", Confidence.USED, _FRENCH_USED),
    ("es", Confidence.DOCUMENTED, _SPANISH_DOCUMENTED),
    ("es", Confidence.USED, _SPANISH_USED),
    ("pt-BR", Confidence.DOCUMENTED, _PORTUGUESE_DOCUMENTED),
    ("it", Confidence.USED, _ITALIAN_USED),
    ("it", Confidence.DOCUMENTED, _ITALIAN_DOCUMENTED),
    ("ru", Confidence.USED, _RUSSIAN_USED),
    ("pl", Confidence.USED, _POLISH_USED),
)


def _rows() -> Iterator[Translation]:
    for language, confidence, rows in _SOURCES:
        for english_object, english_counter, counter in rows:
            for name in _OBJECTS[language][english_object]:
                yield Translation(language, name, counter, (english_object, english_counter), confidence)


NAMES: tuple[Translation, ...] = tuple(_rows())
"""Every name that is known."""

TRANSLATIONS: dict[English, English] = {(row.object.casefold(), row.counter.casefold()): row.english for row in NAMES}
"""Object and counter in lower case on a localised Windows -> the same in English."""
