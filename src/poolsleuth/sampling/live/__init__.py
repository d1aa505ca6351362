"""Samples of a running Windows: what ``NtQuerySystemInformation`` says, as columns.

``tag_tables.py``, ``figures.py`` and ``processes.py`` decode buffers, on any operating system. ``query.py`` asks with
buffers that grow. ``ntdll.py`` is the only file that calls Windows. ``source.py`` puts a sample together.
"""
