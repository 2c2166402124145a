"""Teachers: a checkpoint read safely, its architecture recognised, and proved on the data."""
