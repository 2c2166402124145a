"""Recognition of a checkpoint's architecture by its weight names and shapes."""
