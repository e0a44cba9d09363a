"""Names the consumer groups of an installation."""


def command_group(prefix: str) -> str:
    """The consumer group of the command service; `prefix` is that of the topics."""
    return f"{prefix}command.v1"


def projector_group(prefix: str, version: int) -> str:
    """The consumer group of a version of the views. Each version reads the topic in a group of its own."""
    return f"{prefix}projector.v{version}"


def history_group(prefix: str) -> str:
    """The consumer group of the history."""
    return f"{prefix}history.v1"


def webhooks_group(prefix: str) -> str:
    """The consumer group of the relay."""
    return f"{prefix}webhooks.v1"
