"""Kernel crash dumps: the header, and one file per container that says where a physical page lies in the file."""
