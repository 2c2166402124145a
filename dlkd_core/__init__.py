"""What we compute: dual-level knowledge distillation and the methods it is compared with.

Runs alone (``python -m dlkd_core spec.json out/``) and knows nothing of web, queue or database.
Importing this package, its catalog, spec, events and errors loads no torch.
"""

__version__ = "0.1.0"
