"""Decodes the files in a folder or archive to arrays."""
