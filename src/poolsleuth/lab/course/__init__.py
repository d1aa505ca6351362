"""A simulated machine over time: what its drivers do hour by hour, and the logs that people would have taken of it."""
