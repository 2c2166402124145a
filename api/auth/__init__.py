"""Request authentication and permissions."""
