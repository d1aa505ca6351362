"""Tests of what driver images say."""
