"""Metrics, tracing and health probes of the API."""
