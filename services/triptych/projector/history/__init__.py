"""Archives the events of galleries: the only writer of the history."""
