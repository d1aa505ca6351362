"""Two reports beside each other: machines are paired, then their pools, tags, sessions, findings and counters."""
