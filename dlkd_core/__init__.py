"""The training core: dual-level knowledge distillation and the methods it is compared with.

It also runs without the web API, queue and database: ``python -m dlkd_core spec.json out/``.
Importing this package or its catalog, spec, events and errors modules does not import torch.
"""

__version__ = "0.1.0"
