"""One file per debugger command. Each exports ``READER`` (see ``output.OutputReader``); it is found by itself."""
