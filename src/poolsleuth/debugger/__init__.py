"""A debugger's commands over a kernel that was found in a dump, printed as WinDbg prints them."""
