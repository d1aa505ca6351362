"""Writers of memory images of the simulated machine: crash dumps of every kind, and what virtual machines leave."""
