"""Tests of poolsleuth.kernel.pool."""
