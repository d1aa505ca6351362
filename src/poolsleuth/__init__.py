"""poolsleuth says why a Windows machine's kernel pool is full, leaking or in pieces, and which driver did it.

from poolsleuth import diagnose
report = diagnose(["kd.log"])
print(report.machines[0].conclusion.says)
"""

__version__ = "0.1.0"

from poolsleuth.model.errors import InputError, PoolsleuthError
from poolsleuth.model.finding import Finding
from poolsleuth.model.machine import Machine
from poolsleuth.model.report import Report
from poolsleuth.pipeline import diagnose, read

__all__ = ["Finding", "InputError", "Machine", "PoolsleuthError", "Report", "__version__", "diagnose", "read"]
