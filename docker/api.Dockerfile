# The HTTP API and the commands `dlkd db` and `dlkd key`, without torch.
# For OpenTelemetry traces, build with --build-arg EXTRAS=api,otel.
FROM python:3.13-slim
ARG EXTRAS=api
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
# All writes go to /data, so the rest of the file system can be read-only.
ENV DLKD_HOST=0.0.0.0 DLKD_DATA=/data DLKD_LOG_FORMAT=json TMPDIR=/data PYTHONUNBUFFERED=1
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s \
  CMD ["python", "-c", "import urllib.request as r; r.urlopen(r.Request('http://127.0.0.1:8000/livez', headers={'Host': 'localhost'}), timeout=2)"]
CMD ["dlkd", "api"]
