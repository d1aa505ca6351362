"""The one root of our own errors: everything a user can cause is raised as one of these."""


class PoolsleuthError(Exception):
    """A reason, in one sentence, that the command line prints instead of a traceback."""


class InputError(PoolsleuthError):
    """An input that cannot be used: the sentence names what, where and what to do."""
