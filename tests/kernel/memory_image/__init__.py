"""Tests of memory images."""
