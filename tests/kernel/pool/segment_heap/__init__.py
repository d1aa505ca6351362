"""Tests of poolsleuth.kernel.pool.segment_heap."""
