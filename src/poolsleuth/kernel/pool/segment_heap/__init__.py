"""The pool of Windows 10 1903 and later: segment heaps. Checked on heaps that tests construct, on no real one yet."""
