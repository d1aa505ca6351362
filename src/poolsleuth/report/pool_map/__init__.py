"""The map of the pools: for a terminal, as text like a debugger's, as a picture, as a page that zooms, as JSON."""
