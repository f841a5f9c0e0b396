# The same environment as `make install`, with the command line as entry point.
#   docker build -t mtpkd .
#   docker run --rm -v "$PWD/data:/mtpkd/data" -v "$PWD/runs:/mtpkd/runs" mtpkd run demo
ARG BASE=python:3.11-slim-bookworm
FROM ${BASE}
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends make && rm -rf /var/lib/apt/lists/*
WORKDIR /opt/mtpkd
COPY apt-packages.txt constraints.txt pyproject.toml Makefile README.md LICENSE ./
COPY scripts scripts
COPY mtpkd_cli mtpkd_cli
COPY pipelines pipelines
RUN make install PYTHON=python3 EXTRAS= && rm -rf /var/lib/apt/lists/* /root/.cache \
    && useradd --create-home mtpkd && mkdir -p /mtpkd/data /mtpkd/runs && chown -R mtpkd /mtpkd
ENV PATH=/opt/mtpkd/.venv/bin:$PATH
USER mtpkd
WORKDIR /mtpkd
VOLUME ["/mtpkd/data", "/mtpkd/runs"]
ENTRYPOINT ["mtpkd"]
CMD ["--help"]
