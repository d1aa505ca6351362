"""What tests of several commands are given."""

from pathlib import Path

import pytest

SCREEN = """{time}
 Memory: 4194304K Avail: 2083680K  PageFlts:  1000   InRam Krnl: 5000K P:30000K
 Commit:2721252K Limit:8388608K Peak:2742228K            Pool N:919448K P:350416K
 System pool information
 Tag  Type     Allocs            Frees            Diff   Bytes       Per Alloc
 Leak Nonp {a:10} (   0)         5 (   0) {d:8} {b:10} (     0)   1024
 MmSt Paged    28199 (   0)     27946 (   0)      253   16192 (     0)     64
 Mmxx Nonp         9 (   0)         8 (   0)        1     640 (     0)    640

"""


@pytest.fixture
def log(tmp_path: Path) -> str:
    """Six screens, ten minutes apart, on 10 January 2021 from 12:00 UTC."""
    screens = [
        SCREEN.format(time=f"2021-01-10T12:{10 * k:02}:00.0000000+00:00", a=k * 2048 + 5, d=k * 2048, b=k << 21)
        for k in range(6)
    ]
    path = tmp_path / "poolmon.log"
    path.write_text("".join(screens))
    return str(path)
