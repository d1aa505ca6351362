"""Crash dumps and memory images as evidence."""
