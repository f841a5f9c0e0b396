# The same environment as `make install`, with the command line as entry point.
#   docker build -t mtpkd .
#   docker run --rm -v "$PWD/data:/work/data" -v "$PWD/runs:/work/runs" mtpkd run demo
ARG BASE=python:3.11-slim-bookworm
FROM ${BASE}
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends make && rm -rf /var/lib/apt/lists/*
WORKDIR /opt/mtpkd
COPY apt-packages.txt constraints.txt pyproject.toml Makefile README.md LICENSE ./
COPY scripts scripts
COPY mtpkd_cli mtpkd_cli
COPY pipelines pipelines
RUN make install PYTHON=python3 EXTRAS= && rm -rf /var/lib/apt/lists/* /root/.cache \
    && useradd --create-home mtpkd && mkdir -p /work/data /work/runs && chown -R mtpkd /work
ENV PATH=/opt/mtpkd/.venv/bin:$PATH
USER mtpkd
WORKDIR /work
VOLUME ["/work/data", "/work/runs"]
ENTRYPOINT ["mtpkd"]
CMD ["--help"]
