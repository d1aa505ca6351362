"""Tests of the containers of crash dumps."""
