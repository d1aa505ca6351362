"""Writes every series of the evidence as a table: CSV and Parquet."""
