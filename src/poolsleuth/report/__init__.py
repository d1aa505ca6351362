"""What a person reads: one file per output, each drawn from the ``Report`` document and nothing else."""
