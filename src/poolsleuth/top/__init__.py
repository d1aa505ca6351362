"""Poolmon's screen with memory: what every tag did since the start, who owns it, and what that means so far.

``tracker.py`` follows the samples, ``view.py`` chooses and sorts what is shown, ``plain.py`` prints it as poolmon does,
``replay.py`` gives evidence back in the order of time, ``verdict.py`` judges, ``screen/`` draws (the extra ``[tui]``).
"""
