"""What a machine's pools look like at one moment: taken live from Windows, and kept in recordings.

``sample.py`` is the common shape. ``live/`` asks a running Windows, ``recording/`` writes and reads recordings.
"""
