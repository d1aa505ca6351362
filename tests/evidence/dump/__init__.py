"""Tests of crash dumps as evidence."""
