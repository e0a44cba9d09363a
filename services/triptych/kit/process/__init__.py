"""The parts of every process: settings, logs, metrics, health and the HTTP server."""
