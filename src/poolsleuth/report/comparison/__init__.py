"""The comparison of two pieces of evidence, written out: terminal, Markdown, JSON."""
