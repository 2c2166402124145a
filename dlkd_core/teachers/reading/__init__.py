"""Checkpoint readers. No file content is ever executed."""
