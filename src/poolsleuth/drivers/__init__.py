"""What driver images say: which tags they use and where, which functions they import, whose they are."""
