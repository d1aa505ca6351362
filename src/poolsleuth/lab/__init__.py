"""A simulated machine: it writes dumps (and later logs) whose truth is known. It shares no code with what reads them."""
