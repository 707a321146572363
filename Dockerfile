# The coordinator's image. Build:  make image   (or: docker build -t oscar-batch .)
# BASE is any Debian- or Alpine-like image with Python 3.11 or newer.
ARG BASE=python:3.13-slim

FROM ${BASE} AS build
WORKDIR /src
COPY requirements.txt ./
RUN python3 -m venv /opt/oscar-batch && \
    /opt/oscar-batch/bin/pip install --no-cache-dir --disable-pip-version-check -r requirements.txt
COPY pyproject.toml README.md LICENSE ./
COPY coordinator coordinator
RUN /opt/oscar-batch/bin/pip install --no-cache-dir --disable-pip-version-check --no-deps . && \
    # Nothing is installed at run time: pip would only be weight.
    /opt/oscar-batch/bin/pip uninstall -y pip setuptools wheel 2>/dev/null || true

FROM ${BASE}
COPY --from=build /opt/oscar-batch /opt/oscar-batch
ENV PATH=/opt/oscar-batch/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1
# A number, so that a cluster which demands non-root users can see that it is none.
USER 65532:65532
WORKDIR /tmp
CMD ["oscar-batch", "--help"]
