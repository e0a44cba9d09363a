"""What every process has: settings, logs, metrics, health, an HTTP server."""
