"""The training core: dual-level knowledge distillation and the methods it is compared with.

It runs alone (``python -m dlkd_core spec.json out/``) without the web API, queue and database.
Importing this package, its catalog, spec, events and errors does not load torch.
"""

__version__ = "0.1.0"
