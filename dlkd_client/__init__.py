"""The Python client of the service and the `dlkd` command."""
