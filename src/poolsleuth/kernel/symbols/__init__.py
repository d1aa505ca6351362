"""What is known of a kernel by name: symbols and structure layouts, from PDBs, from tables in the ISF format."""
