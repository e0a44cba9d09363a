"""Traces: spans of batches and operations, which OpenTelemetry records and exports if an operator asks for them."""
