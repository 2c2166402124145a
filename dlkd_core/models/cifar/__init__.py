"""Network families for small images, one per file."""
