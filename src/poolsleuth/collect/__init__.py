"""Collectors to be run on the machine that is in trouble: commands and scripts as text. Nothing here runs them."""
