"""What is known: facts, machine, finding, report. Standard library only, frozen dataclasses, no I/O."""
