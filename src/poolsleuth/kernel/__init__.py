"""A Windows kernel as it lies in memory: the containers that hold the memory, and what is read out of it."""
