"""Tests of the screen itself."""
