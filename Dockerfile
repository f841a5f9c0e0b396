# The same environment as `make install`, with the command line as entry point; a CPU and a CUDA variant.
#   docker build -t mtpkd:cuda .
#   docker build -t mtpkd --build-arg TORCH_INDEX=... .      the index of CPU builds, see docs/how-to/cluster.md
#   docker run --rm --user "$(id -u):$(id -g)" -v "$PWD/data:/mtpkd/data" -v "$PWD/runs:/mtpkd/runs" mtpkd run demo
# The torch that pip finds by itself brings CUDA's libraries along, so both variants can stand on the same small base; a
# cluster that wants another gives any Debian or Ubuntu image with Python 3.11 or newer: --build-arg BASE=IMAGE
ARG BASE=python:3.11-slim-bookworm
FROM ${BASE}
# Where pip looks for torch beside its own index, and what is installed beside the main job, as [ray].
ARG TORCH_INDEX=
ARG EXTRAS=
ARG DEBIAN_FRONTEND=noninteractive
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends make \
    && { python3 -c 'import ensurepip' || apt-get install -y -qq --no-install-recommends python3 python3-venv; } \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /opt/mtpkd
COPY apt-packages.txt constraints.txt pyproject.toml Makefile README.md LICENSE ./
COPY scripts scripts
COPY mtpkd_cli mtpkd_cli
COPY pipelines pipelines
# Whoever runs the image, under Apptainer always somebody else, can read it, and need not compile it at every start. The
# build of torch that was found is printed: pip takes its own where the index above has none of this version.
RUN PIP_EXTRA_INDEX_URL=${TORCH_INDEX} make install PYTHON=python3 EXTRAS=${EXTRAS} \
    && .venv/bin/python -m compileall -q mtpkd_cli pipelines \
    && .venv/bin/python -c 'import torch; print(torch.__version__)' \
    && rm -rf /var/lib/apt/lists/* /root/.cache && chmod -R a+rX /opt/mtpkd \
    && useradd --create-home mtpkd && mkdir -p /mtpkd/data /mtpkd/runs && chown -R mtpkd /mtpkd \
    && chmod 1777 /home/mtpkd /mtpkd/data /mtpkd/runs
# librosa and matplotlib keep caches at home, and librosa fails without; those whom `docker run --user` names have none.
# Apptainer brings one's own. What NVIDIA's container runtime is to bring in comes last; nothing else looks at it.
ENV PATH=/opt/mtpkd/.venv/bin:$PATH HOME=/home/mtpkd \
    NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility
USER mtpkd
WORKDIR /mtpkd
VOLUME ["/mtpkd/data", "/mtpkd/runs"]
ENTRYPOINT ["mtpkd"]
CMD ["--help"]
