"""Facts -> machines: which facts belong to one computer, and what computer that is."""
