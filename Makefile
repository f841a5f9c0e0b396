# Everything a checkout needs, in the few commands that the Dockerfile and .ci/run use too.
.DEFAULT_GOAL := help
.PHONY: help system system-test install demo demo-affwild2 test lint docs stress bench bench-gpu clean

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV   ?= .venv
BIN    := $(VENV)/bin
# Set by the Dockerfile, whose image is the environment.
EXTRAS ?= [dev]

help:  ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

system:  ## Install the system libraries of apt-packages.txt where Debian's package manager lacks them
	@sh scripts/install-system-packages.sh apt-packages.txt

# What only tests need, and skip where it is absent: a browser.
system-test:
	@sh scripts/install-system-packages.sh apt-packages-test.txt || echo "without it, the report is not looked at in a browser"

install: system $(VENV)/.installed  ## Make .venv from constraints.txt

$(VENV)/.installed: constraints.txt pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "mtpkd needs Python 3.11 or newer")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.$(EXTRAS)'
	@touch $@

demo: install  ## Render a small corpus, run all five stages on it, print the results
	$(BIN)/mtpkd run demo

demo-affwild2: install  ## The same for continuous valence and arousal, with sound
	$(BIN)/mtpkd run demo-affwild2

# At most four processes: each may take 2 GiB. A file's tests share what they made, so they stay together.
test: install system-test lint  ## Lint, check types, run the whole test suite
	$(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile

lint: install  ## ruff and pyright
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright

docs: install  ## Build the documentation into site/, warnings as errors
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

stress: install  ## The fault and fuzz suites in full: minutes become an hour
	MTPKD_STRESS=1 $(BIN)/python -m pytest tests/faults tests/fuzz

bench: install  ## Measure the claims of benchmarks/README.md
	@for file in benchmarks/*.py; do echo "== $$file"; $(BIN)/python $$file || exit 1; done

bench-gpu: install  ## Measure what a CUDA device makes of it, where there is one
	$(BIN)/python benchmarks/gpu.py

clean:  ## Remove .venv; runs/ and data/ are yours
	rm -rf $(VENV)
