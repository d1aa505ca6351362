"""``python -m poolsleuth``."""

from poolsleuth.cli.main import main

main()
