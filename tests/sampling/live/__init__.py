"""Tests of what is asked of a running Windows."""
