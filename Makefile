# make demo   the main job on 1,000 MNIST digits: pictures, table and summary in demo/
# make test   the test suite (under 8 minutes on 2 cores)
# make docs   the documentation, all examples run for their figures; docs-quick leaves them out
# All make their own .venv; neither needs a GPU or any data beyond Python packages.

PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
READY := $(VENV)/.ready
SPHINX := $(PY) -m sphinx -W --keep-going -b html

.PHONY: demo test test-slow docs docs-quick bench bench-full lint clean

demo: $(READY)
	$(PY) examples/plot_mnist_ranking.py demo

test: $(READY)
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	OMP_NUM_THREADS=1 $(PY) -m pytest -q -n auto --maxprocesses 4 --dist loadfile  # the workers fill the cores

test-slow: $(READY)
	$(PY) -m pytest -q -s -m slow

docs: $(VENV)/.docs
	$(SPHINX) docs docs/_build/html

docs-quick: $(VENV)/.docs
	$(SPHINX) -D plot_gallery=0 docs docs/_build/html

bench: $(READY)
	$(PY) -m benchmarks short
	$(PY) -m benchmarks.render

bench-full: $(READY)
	$(PY) -m benchmarks full
	$(PY) -m benchmarks.render

lint: $(READY)
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .

# torch comes first and pinned, so that no other package pulls another build of it
$(READY): setup.cfg constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "sslmemo needs Python 3.11 or newer")'
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet --disable-pip-version-check -c constraints.txt torch
	$(PY) -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[plot,frame,dev]"
	touch $@

$(VENV)/.docs: $(READY)
	$(PY) -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[docs]"
	touch $@

clean:
	rm -rf $(VENV) demo build dist *.egg-info .pytest_cache .ruff_cache .hypothesis \
		docs/_build docs/gallery docs/api/generated docs/sg_execution_times.rst
