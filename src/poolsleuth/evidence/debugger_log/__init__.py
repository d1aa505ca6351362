"""Debugger logs: finds the outputs of commands by their own banners and headers, and reads each one."""
