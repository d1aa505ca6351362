"""Performance counter logs: binary (.blg) and text (CSV, TSV)."""
