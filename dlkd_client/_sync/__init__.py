"""The client without async, made of `dlkd_client/_async` by `make sync`: change nothing here."""
