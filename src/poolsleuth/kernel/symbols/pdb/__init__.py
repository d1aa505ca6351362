"""Reads PDBs: the container (msf), identity and sections (streams), symbols, types, and all of it (reader)."""

from poolsleuth.kernel.symbols.pdb.reader import Pdb, kernel_table, read_pdb

__all__ = ["Pdb", "kernel_table", "read_pdb"]
