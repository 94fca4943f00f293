# One environment in .venv, made when it is not there or when pyproject.toml has changed.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo demo-train assets docs test clusters check format fuzz release clean

demo: $(READY)  ## translate drawn faces with the model that comes with stargan, in seconds
	$(BIN)/stargan demo

demo-train: $(READY)  ## draw faces, train a small model, translate faces it never saw, in minutes
	$(BIN)/stargan demo --train

assets: $(READY)  ## put what pages without a server need into the package, for a wheel that contains it
	$(BIN)/python -m stargan.web.runtime

docs: $(READY)  ## the documentation as a site, in build/site; every link is checked
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

test: $(READY)  ## all tests
	$(BIN)/python -m pytest -n auto --dist loadfile

clusters:  ## the tests of Ray and Spark, in an environment of their own; Spark's need Java
	$(PYTHON) -m venv build/clusters
	build/clusters/bin/pip install --no-compile --quiet --disable-pip-version-check -c constraints.txt -e '.[dev,ray,spark]'
	build/clusters/bin/python -m pytest -p no:cacheprovider tests/test_bulk.py -k "ray or spark"

check: $(READY)  ## lint, format, types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(READY)  ## mend what ruff can mend
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

fuzz: $(READY)  ## give damaged files to every reader, for a minute
	$(BIN)/python -m fuzz --minutes 1

release: $(READY)  ## dist/: a reproducible wheel, which is then installed into a clean environment and tried
	rm -rf dist build/lib build/bdist* build/release src/*.egg-info
	SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct) $(BIN)/pip wheel --quiet --no-deps --no-build-isolation -w dist .
	$(PYTHON) -m venv build/release
	build/release/bin/pip install --quiet --disable-pip-version-check -c constraints.txt dist/*.whl
	cd build/release && bin/stargan demo
	sha256sum dist/*.whl

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit("stargan needs Python >= 3.11, this is %s: make PYTHON=python3.12" % sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --no-compile --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

clean:  ## remove the environment and caches
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist src/*.egg-info
