# A worker. torch includes the CUDA libraries. To use GPUs, the host needs the NVIDIA driver and the
# NVIDIA Container Toolkit. For OpenTelemetry traces, build with
# --build-arg EXTRAS=worker,transformers,otel.
FROM python:3.13-slim
ARG EXTRAS=worker,transformers
COPY requirements.lock pyproject.toml README.md LICENSE /src/
COPY api /src/api
COPY worker /src/worker
COPY dlkd_core /src/dlkd_core
COPY registry /src/registry
COPY dlkd_client /src/dlkd_client
COPY migrations /src/migrations
RUN pip install --no-cache-dir --constraint /src/requirements.lock "/src[${EXTRAS}]" \
 && useradd --create-home --uid 10001 dlkd \
 && install -d -o dlkd -g dlkd /data
# A numeric id lets Kubernetes verify that the user is not root.
USER 10001:10001
WORKDIR /data
# All writes, including downloaded weights, go to /data, so the rest of the file system can be
# read-only.
ENV DLKD_DATA=/data DLKD_LOG_FORMAT=json TMPDIR=/data XDG_CACHE_HOME=/data/cache PYTHONUNBUFFERED=1 \
    DLKD_WORKER_METRICS_HOST=0.0.0.0 DLKD_WORKER_METRICS_PORT=9100
EXPOSE 9100
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s \
  CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:9100/metrics', timeout=2)"]
# SIGTERM drains the worker: it saves checkpoints and returns its jobs.
STOPSIGNAL SIGTERM
CMD ["dlkd", "worker"]
