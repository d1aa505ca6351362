"""poolsleuth says why a Windows machine's kernel pool is full, leaking or in pieces."""

__version__ = "0.1.0"
