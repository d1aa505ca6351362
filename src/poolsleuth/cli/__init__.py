"""The command line: one file per command, and the only code that prints or exits."""
