"""The allocator of the classic pool (Windows XP to 10 1607), byte by byte: blocks, headers, free lists, pages."""
