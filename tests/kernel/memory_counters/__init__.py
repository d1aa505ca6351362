"""Tests of the figures of memory as a whole."""
