"""The training loop and its parts: step, optimizer, schedule, precision, EMA and checkpoints."""
