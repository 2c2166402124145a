"""How attempts ended in this process. The counter is the module's, as is usual with Prometheus: a process is one worker."""

from prometheus_client import Counter

ENDED = Counter("dlkd_worker_attempts", "Attempts that ended here", ["kind", "outcome"], registry=None)
