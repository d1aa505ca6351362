"""Tests of samples: live, and recorded."""
