"""The configuration manager: hives, keys, caches."""

from functools import partial

from poolsleuth.windows.tag_notes.note import Role, TagNote

_cm = partial(TagNote, component="nt!cm, the configuration manager (registry)", binary="nt!cm")

NOTES: tuple[TagNote, ...] = (
    _cm(
        pattern="CM",
        role=Role.REGISTRY,
        holds="General memory of the registry: on systems before XP the hives themselves lie here.",
        growth=(
            "Large hives (profiles, bloated SOFTWARE or SYSTEM) make it large; growth follows loaded "
            "user profiles that do not unload."
        ),
        next_step=(
            "`!reg hivelist` for the hives and sizes, `!locks` for contention on nt!CmpRegistryLock, "
            "then the threads that wait."
        ),
    ),
    _cm(
        pattern="CMAl",
        role=Role.REGISTRY,
        holds="Pages of the registry's own allocator, which carves key control blocks from them.",
        growth="Follows the number of keys in use; keys held open by a leak keep it high.",
        next_step="Compare with Key; `!reg openkeys <hive>` lists the open keys.",
    ),
    _cm(
        pattern="CMkb",
        role=Role.REGISTRY,
        holds="Key control blocks: one for each key that is open or cached.",
        growth="Follows keys in use; growth with Key is a handle leak.",
        next_step="`!reg openkeys <hive>`, and `!handle 0 3 <process> Key`.",
    ),
    _cm(
        pattern="CMpb",
        role=Role.REGISTRY,
        holds="Post blocks: requests to be told when a key changes.",
        growth="Growth means a program that asks for notification again and again without taking the old request back.",
        next_step="`!handle 0 3 <process> Key` for the process with the most keys, then its threads.",
    ),
    _cm(
        pattern="CMnb",
        role=Role.REGISTRY,
        holds="Notify blocks: a key watched for changes by an open handle.",
        growth="Follows the number of watched keys; growth goes along with Key.",
        next_step="`!handle 0 3 <process> Key` for the process with the most keys, then its threads.",
    ),
    _cm(
        pattern="CMpe",
        role=Role.REGISTRY,
        holds="Events of synchronous change notifications.",
        growth="Follows waiting notifications.",
        next_step="`!handle 0 3 <process> Key` for the process with the most keys, then its threads.",
    ),
    _cm(
        pattern="CMpa",
        role=Role.REGISTRY,
        holds="Queued calls that deliver asynchronous change notifications.",
        growth="Follows pending notifications.",
        next_step="`!handle 0 3 <process> Key` for the process with the most keys, then its threads.",
    ),
    _cm(
        pattern="CMNb",
        role=Role.REGISTRY,
        holds="Names of keys in the registry cache.",
        growth="Follows the number of different key names in use.",
        next_step="`!reg openkeys <hive>`.",
    ),
    _cm(
        pattern="CMVa",
        role=Role.REGISTRY,
        holds="Cached registry values.",
        growth="Follows values read often; bounded by the keys in use.",
        next_step="Compare with CMkb.",
    ),
    _cm(
        pattern="CMVI",
        role=Role.REGISTRY,
        holds="Cached lists of values per key.",
        growth="Follows keys with many values.",
        next_step="Compare with CMkb.",
    ),
    _cm(
        pattern="CMDa",
        role=Role.REGISTRY,
        holds="Cached data of registry values.",
        growth="Follows values read often.",
        next_step="Compare with CMkb.",
    ),
    _cm(
        pattern="CMSc",
        role=Role.REGISTRY,
        holds="Cached security descriptors of keys.",
        growth="Follows the number of different descriptors in loaded hives.",
        next_step="`!reg hivelist`; look for software that sets unique descriptors.",
    ),
    _cm(
        pattern="CMSb",
        role=Role.REGISTRY,
        holds="Temporary buffers of the registry.",
        growth="Small.",
        next_step="Nothing by itself.",
    ),
    _cm(
        pattern="CMIn",
        role=Role.REGISTRY,
        holds="Search hints for subkey lists.",
        growth="Follows keys in use.",
        next_step="Compare with CMkb.",
    ),
    _cm(
        pattern="CMVw",
        role=Role.REGISTRY,
        holds="Views through which hive files are mapped (XP and later).",
        growth="Follows the size of loaded hives.",
        next_step="`!reg hivelist`.",
    ),
    _cm(
        pattern="CMCa",
        role=Role.REGISTRY,
        holds="Caches of the registry.",
        growth="Follows keys in use.",
        next_step="Compare with CMkb.",
    ),
    _cm(
        pattern="CMTr",
        role=Role.REGISTRY,
        holds="Transactions on the registry.",
        growth="Growth means transactions that stay open.",
        next_step="`ktmutil list transactions`.",
        since="Vista",
    ),
    _cm(
        pattern="CMUw",
        role=Role.REGISTRY,
        holds="Single changes inside registry transactions.",
        growth="Follows open transactions.",
        next_step="`ktmutil list transactions`.",
        since="Vista",
    ),
    _cm(
        pattern="CMRm",
        role=Role.REGISTRY,
        holds="Resource managers for transactional hives.",
        growth="One per loaded hive.",
        next_step="`!reg hivelist` for profiles that stay loaded.",
        since="Vista",
    ),
    _cm(
        pattern="CMIx",
        role=Role.REGISTRY,
        holds="Intent locks on keys touched by transactions.",
        growth="Follows open transactions.",
        next_step="`ktmutil list transactions`.",
        since="Vista",
    ),
    _cm(
        pattern="CMA?",
        role=Role.REGISTRY,
        holds="Memory for auditing registry access.",
        growth="Follows audited accesses; temporary.",
        next_step="`auditpol /get /subcategory:Registry`.",
    ),
    _cm(
        pattern="CM??",
        role=Role.REGISTRY,
        holds="Internal memory of the registry, often numbered (CM25, CM31): mostly hive data kept in paged pool.",
        growth="Follows the size of loaded hives: user profiles that do not unload, bloated hives.",
        next_step=(
            "`!reg hivelist` for sizes; compact or repair the hive that is too large; check the profile "
            "service's events about hives still in use."
        ),
    ),
)
