"""Uploads: forms with files, resumable uploads and direct uploads to the store."""
