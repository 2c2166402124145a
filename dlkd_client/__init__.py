"""The service's Python client, and the `dlkd` command."""
