"""The worker, which claims jobs from the registry and runs each in its own trainer process."""
