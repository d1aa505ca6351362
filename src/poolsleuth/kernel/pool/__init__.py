"""The pool as the kernel itself keeps account of it: tags, big allocations and pool descriptors."""
