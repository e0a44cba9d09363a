"""Live streams: sends the events that are published while this process runs to the clients of open streams."""
