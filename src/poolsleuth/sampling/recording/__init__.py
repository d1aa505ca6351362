"""Recordings: samples of a machine in Parquet files, with a journal for those of the last hour.

``writer.py`` adds samples, ``reader.py`` gives them back, ``layout.py`` says what stands in the files (for users:
docs/recording.md), ``journal.py`` is the journal, ``part.py`` one Parquet file, ``footer.py`` its check before it is
opened, ``disk.py`` the steps on disk that a power loss may come between.
"""
