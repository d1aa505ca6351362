"""The screen itself, drawn with textual (the extra ``[tui]``): nothing outside of this room imports it."""
