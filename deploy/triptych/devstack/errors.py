"""The one way in which the local stack says that it cannot run."""


class StackUnavailable(Exception):
    """The stack cannot start; the message is written for people and complete: what is missing and how to get it."""
