# Two commands matter: `make book` and `make test`. Set-up comes by itself, once.
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
READY := $(VENV)/.ready
PEERS := $(VENV)/.peers
MUTMUT := $(VENV)/.mutmut
# Chapters whose printed numbers are the same on every machine; nbval compares them to the letter.
DETERMINISTIC := two_point_landscape slope_limit rotating_saddle stable_or_nash linear_dynamics path_angle printed_tables
DETERMINISTIC := $(patsubst %,book/%.ipynb,$(DETERMINISTIC))
# Tests of what rounding can spoil: they must pass whatever the kernels and the number of threads.
NUMERICAL := tests/spectra tests/analysis/test_stability.py
KERNELS ?= Haswell
# Processes that share the tests; each takes one thread and a gigabyte.
WORKERS ?= $(shell n=$$(getconf _NPROCESSORS_ONLN); echo $$((n < 8 ? n : 8)))
PYTEST := $(RUN) -m pytest -q -p no:cacheprovider -n $(WORKERS)
PORT ?= 8000
# numpy's threads and torch's wait for work in a loop, and on few cores hold each other up.
export OMP_WAIT_POLICY ?= passive
export OPENBLAS_NUM_THREADS ?= 1
export TAG ?=

.DEFAULT_GOAL := help
.PHONY: help book test unit slow look pdf release matrix numerics notebooks sync check regress spread lint mutants bench bench-curves bench-gpu colab next device serve clean

help:  ## list the targets
	@echo 'The line url: of _config.yml is the address of the repository; change it, then: make sync'
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(READY): requirements.txt pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; set PYTHON=...")'
	test -x $(RUN) || $(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install -q --disable-pip-version-check -r requirements.txt
	$(RUN) -m pip install -q --disable-pip-version-check --no-deps -e .
	touch $@

# The packages that `make bench` compares with, beside the pinned ones.
$(PEERS): $(READY)
	$(RUN) -m pip install -q --disable-pip-version-check -c requirements.txt -e '.[bench]'
	touch $@

$(MUTMUT): $(READY)
	$(RUN) -m pip install -q --disable-pip-version-check -c requirements.txt -e '.[mutants]'
	touch $@

book: $(READY)  ## execute every chapter and build the site in _build/html
	$(RUN) -m helpers.book run
	$(RUN) -m helpers.book site

test: $(READY) lint  ## lint, pairs, numbers, notebooks, site, fast tests
	$(RUN) -m helpers.book check
	$(RUN) -m helpers.book regress
	$(PYTEST) --dist loadscope --nbval --nbval-current-env $(DETERMINISTIC)
	$(RUN) -m helpers.book site
	OMP_NUM_THREADS=1 $(PYTEST) -m "not slow and not look"

unit: $(READY)  ## the fast tests alone
	OMP_NUM_THREADS=1 $(PYTEST) -m "not slow and not look"

slow: $(READY)  ## tests that take more than a few seconds each: whole executions, killed runs, real searches
	OMP_NUM_THREADS=1 $(PYTEST) -m slow

look: $(READY)  ## every page of the built site in a browser: themes, sizes, print, contrast, links
	$(PYTEST) --dist loadfile -m look tests/book/test_site.py

pdf: $(READY)  ## the built site as one PDF file; needs Chromium and ChromeDriver
	$(RUN) -m helpers.book pdf

release: $(READY)  ## wheel, site and evidence in dist/, as a release has them; TAG=v0.1.0 checks the version
	$(RUN) -m helpers.book release --tag "$$TAG"

numerics: $(READY)  ## the numerical tests again with other kernels, and with two threads
	OPENBLAS_CORETYPE=$(KERNELS) ATEN_CPU_CAPABILITY=default $(RUN) -m pytest -q -p no:cacheprovider $(NUMERICAL)
	OMP_NUM_THREADS=2 MKL_NUM_THREADS=2 OPENBLAS_NUM_THREADS=2 $(RUN) -m pytest -q -p no:cacheprovider $(NUMERICAL)

notebooks: $(READY)  ## execute the chapters and copy the outputs beside their sources
	$(RUN) -m helpers.book sync
	$(RUN) -m helpers.book run --publish
	$(RUN) -m helpers.book sync

sync: $(READY)  ## write the notebooks and the README's generated parts from the sources
	$(RUN) -m helpers.book sync

check: $(READY)  ## fail on drift between sources and notebooks
	$(RUN) -m helpers.book check

regress: $(READY)  ## execute anew and compare every number with data/references
	$(RUN) -m helpers.book regress

spread: $(READY)  ## measure how far the numbers move with kernels and threads, for their tolerances
	$(RUN) -m helpers.book spread --write

lint: $(READY)  ## style, mistakes a reader of the code would see, types, and the floors of the package
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(VENV)/bin/lint-imports
	$(RUN) -m mypy

matrix: $(READY)  ## layers and habits of GAN code x routes: products right or refused by name
	$(RUN) -m pytest tests/matrix -q -o norecursedirs= --table _build/matrix.txt

mutants: $(MUTMUT)  ## do the tests notice what is changed in the modules that make verdicts? in a quarter of an hour
	OMP_NUM_THREADS=1 $(RUN) tests/mutation/run.py

bench: $(PEERS)  ## a table of our tools beside other packages', in ten minutes or so
	$(RUN) -m pytest tests/benchmarks -q -o norecursedirs= -o addopts= -o filterwarnings=default

bench-curves: $(PEERS)  ## costs against weights, batch, probes, seeds and workers, for "What it costs" (an hour)
	$(RUN) -m tests.benchmarks.curves

bench-gpu: $(PEERS)  ## trainings and products on a GPU beside goals and peers, in eight minutes (needs a GPU)
	$(RUN) -m tests.benchmarks.gpu

colab: $(READY)  ## execute every chapter in Colab's versions, from the wheel alone (5 GB; not part of the tests)
	$(RUN) tests/colab/run.py

next: $(READY)  ## try the site with Jupyter Book 2, and count what that does not know (needs Node.js)
	$(RUN) tests/next/run.py

device: $(READY)  ## execute every chapter on CUDA, and one under torch's default device (needs a GPU)
	$(RUN) tests/book/device_chapters.py

serve: $(READY)  ## serve the built site on this machine
	$(RUN) -m http.server $(PORT) --bind 127.0.0.1 --directory _build/html

clean:  ## remove what was built; the virtual environment stays
	rm -rf _build mutants .pytest_cache .ruff_cache .benchmarks .hypothesis .import_linter_cache .mypy_cache
