"""Lists, shows, replays and drops dead letters from the command line."""
