"""A simulated machine that writes dumps of known truth. It shares no code with what reads them."""
