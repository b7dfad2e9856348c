# Everything runs in .venv, which is made when it is missing or older than what it is made from.
PYTHON ?= python3
BIN := .venv/bin

# Libraries that live in environments of their own, one folder each in .backends; make BACKENDS="sinabs spyx" test-backends for some.
BACKENDS ?= brian2 jaxsnn lava-nc nengo rockpool sc-neurocore sinabs spyx
ENVIRONMENTS := .backends

.PHONY: matrix matrix-all test test-all test-backends backends fuzz lint bench experiments docs setup clean

matrix: setup  ## run the matrix on the embedded digits and write results/report.csv
	$(BIN)/nir-interop matrix

matrix-all: setup  ## install every library that is missing, each in an environment of its own, and run the matrix of all of them
	-$(BIN)/nir-interop backends install --all
	$(BIN)/nir-interop matrix --all

# Files of tests go to as many processes as there are cores; each keeps what it has compiled, which is half of the time to collect.
PYTEST := PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest --numprocesses auto --dist loadfile --no-loadscope-reorder

test: setup  ## run the tests but for those that take long
	HYPOTHESIS_PROFILE=brief $(PYTEST) -m "not slow and not whole"

test-all: setup  ## run all tests but for those that take minutes a library
	$(PYTEST) -m "not whole"

test-backends: setup  ## run the tests of libraries in environments of their own; what is missing is installed, what cannot be is skipped
	-$(MAKE) --keep-going backends
	NIR_INTEROP_ENVIRONMENTS=$(ENVIRONMENTS) $(PYTEST) tests/backends_apart

backends: $(BACKENDS:%=$(ENVIRONMENTS)/%)  ## install them

$(ENVIRONMENTS)/%: .venv/ready
	NIR_INTEROP_ENVIRONMENTS=$(ENVIRONMENTS) $(BIN)/nir-interop backends install $*
	touch $@

fuzz: setup  ## ten thousand damaged and hostile files; what goes wrong is kept in fuzz-failures/
	$(BIN)/python -m tests.fuzz --files 10000 --seed 0

lint: setup  ## style, types, and who may import whom
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: setup  ## measure and print the project's figures
	$(BIN)/python -m bench

experiments: setup  ## run the studies on the data that NIR_INTEROP_DATA names, or on the embedded digits
	$(BIN)/nir-interop experiment csnn_mnist
	$(BIN)/nir-interop experiment nir_paper
	$(BIN)/nir-interop experiment nmnist_transfer
	$(BIN)/nir-interop experiment spikingjelly_exchange

docs: setup  ## build docs/ as a site in site/; a link or an anchor that leads nowhere is an error (unless --quiet hides it)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

setup: .venv/ready

.venv/ready: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else "$(PYTHON) is Python %d.%d, and nir-interop needs 3.11 or newer: make PYTHON=python3.11" % sys.version_info[:2])'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

clean:  ## forget results that were kept for reuse, and the environment
	rm -rf .venv .nir-interop build site ./*.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
