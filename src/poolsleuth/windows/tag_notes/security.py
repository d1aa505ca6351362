"""Tokens' parts, security descriptors, logon sessions and the security packages."""

from functools import partial

from poolsleuth.windows.tag_notes.note import Role, TagNote

_se = partial(TagNote, component="nt!se, the security reference monitor", binary="nt!se")
_ksec = partial(TagNote, component="ksecdd.sys, the kernel's security packages", binary="ksecdd.sys")
_ci = partial(TagNote, component="ci.dll, code integrity", binary="ci.dll")

NOTES: tuple[TagNote, ...] = (
    _se(
        pattern="SeTd",
        role=Role.OBJECT_PART,
        holds="The variable part of a token: its groups' default access list and the like.",
        growth="One per token: it follows Toke exactly.",
        next_step="Treat Toke as the cause.",
    ),
    _se(
        pattern="SeTl",
        role=Role.OBJECT_PART,
        holds="The lock of a token.",
        growth="One per token: it follows Toke exactly.",
        next_step="Treat Toke as the cause.",
    ),
    _se(
        pattern="SeSd",
        role=Role.OBJECT_PART,
        holds="Security descriptors of objects.",
        growth="Follows objects with their own descriptor, and copies made by callers.",
        next_step="`!poolfind SeSd` and `!sd` on the contents; look for an object tag with a similar count.",
    ),
    _se(
        pattern="SeSc",
        role=Role.OBJECT_PART,
        holds="Security descriptors copied from a caller.",
        growth="Temporary; growth is a caller that forgets to release the copy.",
        next_step="Allocation stacks with xperf.",
    ),
    _se(
        pattern="SePa",
        role=Role.OBJECT_PART,
        holds="Image names for process auditing, and captured policies.",
        growth="One per process: it follows Proc.",
        next_step="Treat Proc as the cause.",
    ),
    _se(
        pattern="SeAc",
        role=Role.OBJECT_PART,
        holds="Access control lists.",
        growth="Temporary, or bound to tokens.",
        next_step="Read it beside Toke and SeSd.",
    ),
    _se(
        pattern="SeLs",
        role=Role.OBJECT_PART,
        holds="Logon sessions.",
        growth="One per logon: growth means logon sessions kept alive by leaked tokens.",
        next_step="`klist sessions`; treat Toke as the cause.",
    ),
    _se(
        pattern="SeLw",
        role=Role.IO,
        holds="Work items for the local security authority.",
        growth="Piles up when lsass does not answer.",
        next_step="Look at the threads of lsass.",
    ),
    _se(
        pattern="SeAp",
        role=Role.IO,
        holds="Parameters of audit events on their way.",
        growth="Follows the rate of auditing.",
        next_step="`auditpol /get /category:*`.",
    ),
    _se(
        pattern="SeAt",
        role=Role.OBJECT_PART,
        holds="Security attributes, probably mostly the claims of tokens.",
        growth="Follows Toke.",
        next_step="Treat Toke as the cause.",
    ),
    _se(
        pattern="SePr",
        role=Role.OTHER,
        holds="Sets of privileges being checked.",
        growth="Temporary.",
        next_step="Nothing by itself.",
    ),
    _se(
        pattern="SeSi",
        role=Role.OBJECT_PART,
        holds="Security identifiers.",
        growth="Temporary, or bound to tokens.",
        next_step="Read it beside Toke.",
    ),
    _se(
        pattern="SeSa",
        role=Role.OBJECT_PART,
        holds="Arrays of identifiers with attributes, such as groups.",
        growth="Temporary, or bound to tokens.",
        next_step="Read it beside Toke.",
    ),
    _se(
        pattern="SeOn",
        role=Role.IO,
        holds="Object names captured for auditing.",
        growth="Temporary.",
        next_step="`auditpol /get /category:*`.",
    ),
    _se(
        pattern="Se??",
        role=Role.OTHER,
        holds="Some structure of the security monitor.",
        growth="Follows tokens, access checks and audits.",
        next_step="Compare with Toke.",
    ),
    _ksec(
        pattern="Ksec",
        role=Role.OTHER,
        holds="Memory of the security driver.",
        growth="Follows authentications made in the kernel, such as those of file sharing.",
        next_step="Compare with SMB sessions (`net session`).",
    ),
    _ksec(
        pattern="KrbC",
        role=Role.OTHER,
        holds="Contexts of Kerberos in the kernel.",
        growth="Follows authenticated connections of file sharing and HTTP.",
        next_step="`net session`, `klist sessions`.",
    ),
    _ksec(
        pattern="MsvC",
        role=Role.OTHER,
        holds="Contexts of NTLM in the kernel.",
        growth="Follows authenticated connections.",
        next_step="`net session`.",
    ),
    _ksec(
        pattern="Kse?",
        role=Role.OTHER,
        holds="Allocations of a security package in the kernel; the digit names the package.",
        growth="Follows authentications.",
        next_step="`net session`, `klist sessions`.",
    ),
    _ksec(
        pattern="Cngb",
        role=Role.OTHER,
        holds="The kernel's cryptography provider.",
        growth="Follows keys and hashes in use by drivers.",
        next_step="Allocation stacks with xperf.",
        since="Vista",
    ),
    _ci(
        pattern="CI??",
        role=Role.OTHER,
        holds="Hashes and catalogs for checking signatures of images.",
        growth="Follows images checked.",
        next_step="Read it beside MmCi.",
        since="Vista",
    ),
)
