"""The client as it is written. `dlkd_client/_sync` is made of it by `make sync`: change nothing there."""
