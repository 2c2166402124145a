# A worker. torch brings its CUDA libraries; the host needs the NVIDIA driver and container toolkit, or nothing for the CPU.
FROM python:3.13-slim
COPY requirements.lock pyproject.toml README.md LICENSE /src/
COPY api /src/api
COPY worker /src/worker
COPY dlkd_core /src/dlkd_core
COPY registry /src/registry
COPY dlkd_client /src/dlkd_client
COPY migrations /src/migrations
RUN pip install --no-cache-dir --constraint /src/requirements.lock "/src[worker]" \
 && useradd --create-home --uid 10001 dlkd \
 && install -d -o dlkd -g dlkd /data /store
USER dlkd
WORKDIR /data
ENV PYTHONUNBUFFERED=1
# TERM drains: checkpoints are saved and the leases given back.
STOPSIGNAL SIGTERM
CMD ["dlkd", "worker"]
