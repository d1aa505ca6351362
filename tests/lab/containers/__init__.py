"""Tests of what a kernel's memory holds."""
