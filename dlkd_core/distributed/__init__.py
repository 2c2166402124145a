"""Training with several processes: process group, collectives and data parallelism."""
