"""Recordings: samples of a machine in Parquet files, with a journal for those of the last hour.

``writer.py`` adds samples, ``reader.py`` gives them back, ``layout.py`` says what stands in the files (for users:
docs/recording.md), ``journal.py`` is the journal, ``part.py`` one Parquet file, ``summary.py`` the list of its samples,
``footer.py`` (with ``shapes.py``) its check before any row is read, ``courses.py`` makes courses of rows, ``disk.py``
the steps on disk that a power loss may come between.
"""
