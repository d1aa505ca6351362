"""The figures of memory as a whole, as ``!vm`` prints them, from the kernel's own variables."""
