# Only Python (3.11 or newer) and make are assumed: each target prepares the virtual environment that it needs.
# A machine's default `python3` may be another one: make PYTHON=python3.12 test

PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python -m
PARALLEL := -n auto --dist loadfile --no-loadscope-reorder  # in the order of tests/conftest.py

.DEFAULT_GOAL := help
.PHONY: help demo lessons thumbnails test test-all lint format

help:  ## show this list
	@sed -n 's/^\([a-z-]*\):.*## /  make \1|/p' $(MAKEFILE_LIST) | awk -F'|' '{ printf "%-18s%s\n", $$1, $$2 }'

demo: $(VENV)/demo.stamp  ## teach a small model spoken digits from nothing, in a few minutes
	$(VENV)/bin/python examples/demo/demo.py

lessons: $(VENV)/lessons.stamp  ## build the lessons as pages and notebooks, with the wheel these need elsewhere
	$(RUN) minids.lesson.site.build
	$(RUN) hatchling build --target wheel --directory out/lessons/site
	@echo "open out/lessons/site/index.html"

thumbnails: lessons  ## redraw README's thumbnails of the lessons
	$(RUN) minids.lesson.site.thumbnails

test: $(VENV)/dev.stamp  ## run the quick tests (at most 5 minutes on two cores)
	$(RUN) pytest $(PARALLEL) -m "not slow"

test-all: $(VENV)/dev.stamp $(VENV)/demo.stamp $(VENV)/cuda.stamp $(VENV)/mpi.stamp  ## run the slow tests too: kills, fuzzing, recipes, kernels compiled
	$(RUN) pytest $(PARALLEL)

lint: $(VENV)/dev.stamp  ## check style and types
	$(RUN) ruff check
	$(RUN) ruff format --check
	$(RUN) mypy

format: $(VENV)/dev.stamp  ## put the code into our form
	$(RUN) ruff check --fix
	$(RUN) ruff format

# One environment; a stamp says that an extra is installed as pyproject.toml now asks for it.
$(VENV)/%.stamp: pyproject.toml | $(VENV)/bin/pip
	@echo "installing minids with its extra '$*' into $(VENV), once; this takes a minute or two"
	$(RUN) pip install --quiet --disable-pip-version-check --editable ".[$*]"
	@touch $@

$(VENV)/bin/pip:
	@$(PYTHON) -c 'import sys; sys.exit("minids needs Python 3.11 or newer; name one: make PYTHON=python3.12 ..." if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
