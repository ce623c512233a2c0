"""Metrics, log lines and traces: what the server tells of itself."""
