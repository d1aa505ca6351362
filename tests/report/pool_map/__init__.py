"""Tests of the map's outputs. A package, so that its conftest has a name of its own for the type checker."""
