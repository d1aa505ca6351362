"""Tests of what one series does over its time."""
