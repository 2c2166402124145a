"""Authentication and permissions of requests."""
