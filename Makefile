# Two commands do everything on a fresh machine: `make demo` and `make test`. Both make the environment first.
# Another interpreter: `make test PYTHON=python3.12`. An environment of your own: `make test VENV="$VIRTUAL_ENV"`.

PYTHON ?= python3
VENV ?= .venv
PY := $(VENV)/bin/python
INSTALLED := $(VENV)/.installed
PEERS := $(VENV)/.peers

# one process a core, each with one thread; the tests of a file stay together, so that they share what they prepare
PYTEST := OMP_NUM_THREADS=1 "$(PY)" -m pytest --numprocesses=auto --dist=loadfile --no-loadscope-reorder

# rooms in which fewer than 90 % of the lines run in the tests fail `make test`
COVERED := volume losses evaluation scoring

.DEFAULT_GOAL := help
.NOTPARALLEL: # the checks run in the order written, pytest last: its closing line is the last one
.PHONY: help install demo test check-format lint types docs tests coverage test-slow faults fuzz mutants benchmarks format clean

help: ## print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-14s %s\n", $$1, $$2 }' Makefile

install: $(INSTALLED) ## make the environment and install the package in it

# PIP_USER: a pip that is configured to install for the user cannot install into an environment
$(INSTALLED): pyproject.toml constraints.txt
	@"$(PY)" -m pip --version >/dev/null 2>&1 || "$(PYTHON)" -m venv "$(VENV)"
	PIP_USER=0 "$(PY)" -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[test,docs]"
	@touch "$(INSTALLED)"

$(PEERS): $(INSTALLED)
	PIP_USER=0 "$(PY)" -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[bench]"
	@touch "$(PEERS)"

demo: $(INSTALLED) ## synthetic scans -> train -> segment -> report, on the CPU, into runs/demo
	"$(VENV)/bin/weakmask" demo --out runs/demo

test: check-format lint types docs tests ## everything that must pass before a change goes in

check-format: $(INSTALLED)
	"$(PY)" -m ruff format --check

lint: $(INSTALLED)
	"$(PY)" -m ruff check

types: $(INSTALLED)
	"$(PY)" -m pyright --pythonpath "$(PY)"

# the variable silences a banner about a later MkDocs, which is no fault of ours
docs: $(INSTALLED) ## build the documentation into site/ (open site/index.html)
	NO_MKDOCS_2_WARNING=1 "$(PY)" -m mkdocs build --strict --quiet

# coverage of these rooms alone: that of the whole package makes the tests a third slower (`make coverage`)
tests: $(INSTALLED) ## pytest alone, with the coverage of four rooms
	$(PYTEST) $(COVERED:%=--cov=src/weakmask/%) --cov-report=term
	@for room in $(COVERED); do \
	  table=$$("$(PY)" -m coverage report --include="src/weakmask/$$room/*" --fail-under=90) || \
	    { echo "$$table"; echo "fewer than 90 % of the lines of $$room run in the tests"; exit 1; }; \
	done

coverage: $(INSTALLED) ## pytest with the coverage of the whole package
	$(PYTEST) --cov=src/weakmask --cov-report=term

test-slow: $(INSTALLED) ## the tests that train for minutes
	"$(PY)" -m pytest -m slow

# FAULTS_EVERY=7 tries every seventh position
faults: $(INSTALLED) ## let every write of every verb fail, one at a time: ENOSPC, EIO, kill (hours; FAULTS_EVERY=20: minutes)
	"$(PY)" -m pytest -m slow tests/faults

SECONDS ?= 180
fuzz: $(INSTALLED) ## damage files of every format for SECONDS (180) and count what each reader makes of them
	"$(PY)" tests/fuzz/run_fuzz.py --seconds $(SECONDS)

mutants: $(INSTALLED) ## put faults into a copy of the source, one at a time: the tests must find each (half an hour)
	"$(PY)" tests/mutants/run_mutants.py

# these start from a data set or from finished runs; their --help says which
GIVEN := benchmarks/choices.py benchmarks/lobes_mr.py benchmarks/score_sets.py benchmarks/quality_flags.py

benchmarks: $(PEERS) ## every benchmark that needs nothing given, its result into runs/benchmarks/NAME.json
	@mkdir -p runs/benchmarks
	@failed=0; for file in $(filter-out $(GIVEN),$(wildcard benchmarks/*.py)); do \
	  name=$$(basename "$$file" .py); echo "$$name"; \
	  "$(PY)" "$$file" --json > "runs/benchmarks/$$name.json" || failed=1; \
	done; exit $$failed

format: $(INSTALLED) ## write the code the way ruff wants it
	"$(PY)" -m ruff format
	"$(PY)" -m ruff check --fix

clean: ## remove what the checks leave behind; runs/ and the environment stay
	rm -rf site build dist .coverage .pytest_cache .ruff_cache .hypothesis
	find src tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
