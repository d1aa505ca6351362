"""Images of physical memory that are no crash dumps: raw images, ELF cores of virtual machines, LiME."""
