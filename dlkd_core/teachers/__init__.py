"""Teacher networks: safe checkpoint reading, architecture recognition and verification."""
