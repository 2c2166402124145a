"""The user's door: a typed Python client and the `dlkd` command."""
