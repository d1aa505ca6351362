"""Recognises an input by its content and turns it into facts; one file or folder per kind."""
