"""Tests of the whole road, from files as Windows' tools write them to the report."""
