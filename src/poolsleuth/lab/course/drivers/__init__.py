"""Drivers, and programs, as small models: each does its work from one sample to the next."""
