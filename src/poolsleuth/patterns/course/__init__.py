"""What a figure does over time: leak, steps, load, a cache that fills, a jump - decided by statistics alone.

Nothing here knows Windows: arrays in, a ``Course`` out. The patterns say what it means.
"""
