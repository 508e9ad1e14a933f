# make study   set up, run study 1, write its report           make lab     JupyterLab on the notebooks
# make test    set up, check the style, run every test         make clean   forget the environment and all runs
# make reports render the pages of reports/ from their Markdown
#
# ARGS goes to `gdlib run` or to pytest:  make study ARGS="--profile full"     make test ARGS="-m 'not real'"
PYTHON ?= python3
VENV   ?= .venv
ARGS   ?=
BIN    := $(VENV)/bin
SHELL  := bash
.SHELLFLAGS := -eu -o pipefail -c

# pip says a line a package and more; this is a dot a package found and the name of every big file that comes in.
PROGRESS := awk '/^Collecting/ { printf "." } /^ *Downloading .*(GB|[0-9][0-9][.0-9]* MB)\)/ { printf " %s %s%s ", $$2, $$3, $$4 } \
                 /^Installing collected/ { printf " installing" } { fflush() } END { print "" }'
INSTALL   = $(BIN)/python -m pip install --disable-pip-version-check --no-compile -c constraints.txt
# pip would compile with one core, the packages' own tests too. What does not compile is not meant to, and stays as it is.
COMPILE   = $(BIN)/python -m compileall -qq -j 0 -x /tests/ $(VENV)/lib || true

.PHONY: help study test lab reports clean
help:
	@sed -n '/^# make/s/^# //p; /^# ARGS/s/^# //p' Makefile

study: $(VENV)/.study
	@$(BIN)/gdlib run $(ARGS)

test: $(VENV)/.test
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --quiet --check gdlib tests benchmarks tools
	@$(BIN)/lint-imports --no-cache --no-logo
	@$(BIN)/python -m pytest $(ARGS)

lab: $(VENV)/.study
	@$(BIN)/jupyter lab notebooks $(ARGS)

reports: $(VENV)/.study
	@$(BIN)/gdlib report $(patsubst %/report.md,--render %,$(wildcard reports/*/report.md))

clean:
	rm -rf $(VENV) runs *.egg-info .pytest_cache .ruff_cache .hypothesis

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "gdlib needs Python 3.11 or newer; choose one: make PYTHON=python3.12 study")'
	@$(PYTHON) -m venv $(VENV)

# The stamps: installed with what pyproject.toml and constraints.txt say now.
$(VENV)/.study: pyproject.toml constraints.txt | $(BIN)/python
	@echo "setting up $(VENV), once: a few minutes"
	@$(INSTALL) -e . | $(PROGRESS)
	@$(COMPILE)
	@touch $@

$(VENV)/.test: pyproject.toml constraints.txt | $(BIN)/python
	@echo "setting up $(VENV) with what the tests need, once: a few minutes"
	@$(INSTALL) -e '.[test]' | $(PROGRESS)
	@$(COMPILE)
	@touch $@ $(VENV)/.study
