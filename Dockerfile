# The coordinator's image. Build:  make image   (or: docker build -t oscar-batch .)
# BASE is any Debian- or Alpine-like image with Python 3.11 or newer. The default is a tag and no
# digest: a digest would freeze the base without its security updates, for one architecture's index
# at one day. For a build that can be repeated, name one: make image BASE=python@sha256:…
ARG BASE=python:3.13-slim

FROM ${BASE} AS build
WORKDIR /src
COPY requirements.txt requirements-build.txt ./
# A file whose hash is not in these lists is refused.
RUN python3 -m venv /opt/oscar-batch && \
    /opt/oscar-batch/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes \
        -r requirements.txt -r requirements-build.txt
COPY pyproject.toml setup.py README.md LICENSE script.sh ./
COPY coordinator coordinator
COPY worker worker
COPY fdl fdl
COPY docs docs
RUN /opt/oscar-batch/bin/pip install --no-cache-dir --disable-pip-version-check \
        --no-deps --no-build-isolation . && \
    # Nothing is installed at run time: pip would only be weight.
    /opt/oscar-batch/bin/pip uninstall -y pip setuptools wheel 2>/dev/null || true

FROM ${BASE}
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="OSCAR-Batch" \
      org.opencontainers.image.description="A coordinator, itself an OSCAR service, for huge backlogs of files" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.source="https://github.com/grycap/oscar-batch" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build /opt/oscar-batch /opt/oscar-batch
ENV PATH=/opt/oscar-batch/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1
# A number, so that a cluster which demands non-root users can see that it is none.
USER 65532:65532
WORKDIR /tmp
CMD ["oscar-batch", "--help"]
