"""The synchronous client, generated from `dlkd_client/_async` by `make sync`."""
