# Everything a contributor types. `make` alone lists it. Works with GNU Make 3.81, in a folder with spaces in its path.

PYTHON ?= python3
TEST_JOBS ?= 2
# Tests through the engine wait about as much as they compute.
ENGINE_JOBS ?= 3

# Containers often set this. Without bytecode each process of the tests compiles what it imports, for half of its time.
unexport PYTHONDONTWRITEBYTECODE

BIN := .venv/bin
PY := $(BIN)/python
STAMP := .venv/.installed
PIP := $(PY) -m pip install --quiet --disable-pip-version-check -c constraints.txt
# The environment of a recipe line: the venv and a working `pulumi` on PATH, as `make env` prints it.
ON_PATH := lines="$$($(PY) tools/env.py)" && eval "$$lines"

.PHONY: help setup env demo check test languages faults machines sweep package bench docs clean FORCE
.DEFAULT_GOAL := help

help: ## list what there is
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/make \1|\2/p' Makefile | awk -F'|' '{ printf "%-12s %s\n", $$1, $$2 }'

setup: $(STAMP) ## make .venv and find `pulumi`, or build it once per machine
	@$(PY) tools/pulumi_cli.py >/dev/null
	@echo 'Ready. `eval "$$(make -s env)"` puts python and pulumi on PATH; `make demo` shows what it does.' >&2

env: $(STAMP) ## print the shell lines for: eval "$(make -s env)"
	@$(PY) tools/env.py

demo: $(STAMP) ## rent, re-price, preempt and destroy a cluster on a fake cloud
	@$(ON_PATH) && exec $(PY) tools/demo.py

check: $(STAMP) ## lint, format, types, layering
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(PY) -m mypy
	@$(BIN)/basedpyright --pythonpath $(PY)
	@$(BIN)/lint-imports

# The fast floors first, and the engine only when they hold: the last line that pytest prints is the verdict.
test: $(STAMP) ## all tests: first without, then with the Pulumi engine
	@$(PY) -m pytest -n $(TEST_JOBS) --dist worksteal -m 'not engine and not faults and not machines and not package and not languages'
	@$(ON_PATH) && $(PY) -m pytest -n $(ENGINE_JOBS) --dist loadgroup -m 'engine and not faults and not machines and not package and not languages'

languages: $(STAMP) ## the plugin's tests in YAML, TypeScript and Go, with node, npm and go (builds two language hosts once)
	@lines="$$($(PY) tools/env.py --languages)" && eval "$$lines" && \
	  $(PY) -m pytest -n $(TEST_JOBS) --dist loadgroup -m languages

faults: $(STAMP) ## the whole fault matrix: every call of every verb, every fault, also through the engine (many minutes)
	@$(PY) -m pytest -n $(TEST_JOBS) -p no:logging tests/faults
	@$(ON_PATH) && $(PY) -m pytest -n $(ENGINE_JOBS) --dist loadgroup -m 'engine and faults'

machines: $(STAMP) ## all tests on machines that boot: Linux, as root, with Debian's systemd-container and mmdebstrap
	@$(ON_PATH) && $(PY) -m pytest -n $(TEST_JOBS) tests/machines

sweep: $(STAMP) ## the long property-based runs (some minutes)
	@$(PY) -m pytest -n $(TEST_JOBS) -m sweep

package: $(STAMP) ## build what is uploaded into dist, and try it on every Python of this machine (some minutes)
	@rm -rf dist
	@$(PY) -m hatchling build >&2
	@$(ON_PATH) && $(PY) -m pytest tests/package

bench: $(STAMP) ## measure, about 15 minutes; BENCH="--full", "--soak", "--package PATH" or "--help" for other runs
	@test -f benchmarks/bench.py || { echo 'make bench: there is no benchmarks/bench.py yet' >&2; exit 1; }
	@$(ON_PATH) && exec $(PY) benchmarks/bench.py $(BENCH)

# mkdocs-material speaks of a mkdocs 2 that nothing here uses; every other warning is an error.
docs: $(STAMP) ## build the documentation site, with every warning an error
	@NO_MKDOCS_2_WARNING=1 $(PY) -m mkdocs build --strict --quiet
	@echo 'site/index.html is the front page; `$(PY) -m http.server -d site` serves it, with search' >&2

clean: ## remove all that was made here (the built pulumi stays in its cache)
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .demo build dist site
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Done again when the dependencies change, and where the folder was moved or copied: an editable install points to the
# folder that it was made in.
$(STAMP): pyproject.toml constraints.txt
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { \
	  echo 'make: $(PYTHON) is missing or older than 3.10; name a newer one: make PYTHON=python3.12 ...' >&2; exit 1; }
	@$(PY) -m pip --version >/dev/null 2>&1 || "$(PYTHON)" -m venv --clear .venv
	@echo 'make: installing into .venv (about a minute)' >&2
	@$(PIP) hatchling editables >&2
	@$(PIP) --no-build-isolation -e '.[dev]' >&2
	@printf '%s\n' "$(CURDIR)" >$(STAMP)

ifneq ($(shell cat $(STAMP) 2>/dev/null),$(CURDIR))
$(STAMP): FORCE
endif
