"""The asynchronous client, from which `make sync` generates `dlkd_client/_sync`."""
