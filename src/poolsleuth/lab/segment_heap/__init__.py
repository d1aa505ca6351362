"""The pool allocator of Windows 10 1903 and later as the lab plays it, written from public facts: segment heaps."""
