"""The exception that the local stack raises if it cannot run."""


class StackUnavailable(Exception):
    """The stack cannot start. The message is for people, and says what is missing and how to get it."""
