"""Virtual memory: page tables of x86, x64 and ARM64, and the entries of Windows for pages that are not valid."""
