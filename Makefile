# Everything a user of the repository calls; what the targets do is in Python. `make` alone lists them.
.DEFAULT_GOAL := help
.PHONY: help setup up down test lint bench
SHELL := /bin/sh

# The first Python that is new enough.
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$p" && break; done)
RUN := .venv/bin/python

help:  ## List the targets
	@sed -n 's/^\([a-z]*\):.*## /  make \1	/p' $(MAKEFILE_LIST)

setup:  ## Make .venv with the locked dependencies; .venv/bin/flameplane works afterwards
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed: neither python3 nor python3.11 and up is on PATH." >&2; exit 3; }
	@$(PYTHON) -m local.environment

up: setup  ## Bring the platform of services/ up on a Kubernetes of its own (Linux: as root)
	@.venv/bin/flameplane local up $(ARGS)

down: setup  ## Take the platform and its cluster down; only the cache of built things stays
	@.venv/bin/flameplane local down $(ARGS)

test: setup  ## Lint, then every tier of tests; ends with one table
	@$(RUN) tests/run.py $(ARGS)

lint: setup  ## Lint alone
	@$(RUN) tests/run.py --lint

bench: setup  ## Measure `plan`: time and memory for the real services and for 200
	@$(RUN) -m benchmarks.plan $(ARGS)
