"""Decoding of the files of a folder or archive to arrays."""
