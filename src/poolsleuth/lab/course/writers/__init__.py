"""Evidence as people take it of a machine: what its own tools would have written at the moments of a course.

poolmon.py       write_poolmon(path, moments): all snapshots in one file; write_poolmon_files(folder, moments): one each
debugger_log.py  debugger_log(machine) -> text, write_debugger_log(path, machine): a WinDbg session on the dump, from
                 the simulated truth (SimulatedMachine.truth: addresses are filled in)
counter_csv.py   write_counter_csv(path, moments): the counter log as text (PDH-CSV)
blg.py           write_blg(path, moments, form=...): the same as a binary log, of "counters" or of whole "objects"

Moments are read once, one after another; nothing but the current one is held. All files are new (FileExistsError).
Local times are those of ``zone.ZONE`` (a keyword ``zone`` takes another one).
"""
