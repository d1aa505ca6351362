"""One diagnosis per file, named after its id. Sees facts and Windows knowledge only: no input, no report."""
