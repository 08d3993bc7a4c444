# Relume as one image, for the API and for workers. docs/running.md says how to run it.
#
#   docker build -t relume .
#   docker build -t relume:local-models --build-arg EXTRAS=distributed,local .    # with torch: gigabytes more

ARG PYTHON_TAG=3.11-slim-bookworm

FROM python:${PYTHON_TAG} AS build
ARG EXTRAS=distributed
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /build
RUN python -m venv /opt/relume
COPY pyproject.toml README.md LICENSE ./
COPY src src
RUN /opt/relume/bin/pip install ".${EXTRAS:+[${EXTRAS}]}"

FROM python:${PYTHON_TAG}
RUN groupadd --gid 10001 relume \
    && useradd --uid 10001 --gid relume --home-dir /data --no-create-home --shell /usr/sbin/nologin relume \
    && install -d -o relume -g relume /data /weights
COPY --from=build /opt/relume /opt/relume
# Inside a container, other containers and the published port are all that reach it.
ENV PATH=/opt/relume/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    API_HOST=0.0.0.0 \
    API_PORT=8000 \
    STORAGE_DIR=/data \
    WEIGHTS_DIR=/weights
# Settings files are read here, too: /data/config.env.
WORKDIR /data
VOLUME /data
USER 10001:10001
EXPOSE 8000
# The graceful stop of the server and of the worker.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import http.client, os; c = http.client.HTTPConnection('127.0.0.1', int(os.environ['API_PORT']), timeout=4); c.request('GET', '/health'); raise SystemExit(c.getresponse().status != 200)"]
ENTRYPOINT ["relume"]
CMD ["serve"]
