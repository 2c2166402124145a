"""Source of both clients. `make sync` generates `dlkd_client/_sync` from it."""
