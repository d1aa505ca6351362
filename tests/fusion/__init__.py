"""Tests of the fusion of facts into machines."""
