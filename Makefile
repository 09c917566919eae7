# Needs Python 3.11 or newer, make, and a connection to PyPI; everything else it fetches itself.
#
#   make demo   the five commands on sample_data/, ending in build/demo/report.html
#   make test   the tests but the long ones: about four minutes on two cores
#   make test-spark   exported SQL in a local Spark; needs Java
#   make docs   the documentation as a site, build/site/index.html
#   make check  everything: lint, types, demo, and every test; continuous integration runs
#               all of it but the longest simulations
#
# Another interpreter:  make PYTHON=python3.12 test      Another place:  make VENV=/tmp/venv test

PYTHON ?= python3
VENV ?= .venv
JOBS ?= auto
PYTEST_ARGS ?=
# What is installed for the tests; with `dev,browser` and chromium the report is tried in a browser.
EXTRAS ?= dev

# The tests start the program a hundred times: without bytecode each start would compile it again.
test test-slow test-minimum test-other-processor: export PYTHONDONTWRITEBYTECODE :=

# The commands below are then the ones that a user types, and make shows each before it runs it.
export PATH := $(abspath $(VENV))/bin:$(PATH)
# Naming the flags makes every recipe run in a shell, so that the PATH above is the one searched.
.SHELLFLAGS := -ec

CANCER := sample_data/breast_cancer
DEMO := build/demo

.PHONY: demo docs test test-slow test-spark test-minimum test-other-processor lint types bench check clean

demo: $(VENV)/.installed
	@mkdir -p $(DEMO)
	calibcli measure $(CANCER)_test.csv --cluster patient --group size
	calibcli fit $(CANCER)_calibration.parquet --cluster patient -o $(DEMO)/calibrator.json
	calibcli apply $(DEMO)/calibrator.json $(CANCER)_test.csv -o $(DEMO)/calibrated.csv
	calibcli threshold $(CANCER)_choice.parquet --cluster patient --calibrator $(DEMO)/calibrator.json --maximize f1 --subject-to 'recall>=0.9' -o $(DEMO)/thresholds.json
	calibcli report $(CANCER)_test.csv --cluster patient --group size --calibrator $(DEMO)/calibrator.json --thresholds $(DEMO)/thresholds.json -o $(DEMO)/report.html
	@echo "The page to open: $(DEMO)/report.html"

test: $(VENV)/.installed-dev
	python -m pytest -n $(JOBS) --dist worksteal -m 'not slow' $(PYTEST_ARGS)

# What takes long: simulations of what is promised (intervals that cover, guarantees that hold), the
# examples of every page and recipe, the report in a browser, workers of Dask.
test-slow: $(VENV)/.installed-dev
	python -m pytest -n $(JOBS) -m slow $(PYTEST_ARGS)

# Exported SQL and counts from SQL in a local Spark, which needs Java and half a gigabyte of pyspark.
test-spark: $(VENV)-spark/.installed
	$(VENV)-spark/bin/python -m pytest -k spark tests/core/export/test_sql.py \
		tests/workflows/test_sql_of_decisions.py tests/workflows/test_shards.py $(PYTEST_ARGS)

docs: $(VENV)/.installed-docs
	NO_MKDOCS_2_WARNING=1 mkdocs build --quiet --strict
	@echo "The page to open: build/site/index.html"

lint: $(VENV)/.installed-dev
	ruff check .
	ruff format --check .
	lint-imports

types: $(VENV)/.installed-dev
	mypy

bench: $(VENV)/.installed-dev
	python -m benchmarks

check: lint types demo test test-slow test-minimum

# The same tests on the oldest releases that pyproject.toml admits.
test-minimum: $(VENV)-minimum/.installed
	$(VENV)-minimum/bin/python -m pytest -n $(JOBS) -m 'not slow' $(PYTEST_ARGS)

# The same tests with the last digits of another processor: NumPy's exp and log, the C library's,
# and the products of matrices then take the code that an older x86-64 processor would.
test-other-processor: export NPY_DISABLE_CPU_FEATURES := X86_V3 X86_V4 AVX512_ICL AVX512_SPR
test-other-processor: export GLIBC_TUNABLES := glibc.cpu.hwcaps=-AVX2,-FMA,-AVX512F
test-other-processor: export OPENBLAS_CORETYPE ?= Nehalem
test-other-processor: test

clean:
	rm -rf build dist $(VENV) $(VENV)-minimum $(VENV)-spark
	rm -rf .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find calibcli tests sample_data benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

# Virtual environments, installed again only when pyproject.toml or the pinned versions change.
define new-venv
@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	echo "calibcli needs Python 3.11 or newer, and $(PYTHON) is not;" >&2; \
	echo "name another one: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
$(PYTHON) -m venv $(1)
endef

$(VENV)/bin/python:
	$(call new-venv,$(VENV))

$(VENV)/.installed: pyproject.toml | $(VENV)/bin/python
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/.installed-dev: pyproject.toml | $(VENV)/bin/python
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[$(EXTRAS)]'
	@touch $@ $(VENV)/.installed

$(VENV)/.installed-docs: pyproject.toml | $(VENV)/bin/python
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check 'mkdocs-material>=9.5'
	@touch $@

$(VENV)-minimum/.installed: pyproject.toml tests/minimum-versions.txt
	$(call new-venv,$(VENV)-minimum)
	$(VENV)-minimum/bin/python -m pip install --quiet --disable-pip-version-check \
		--constraint tests/minimum-versions.txt --editable '.[test]'
	@touch $@

$(VENV)-spark/.installed: pyproject.toml
	$(call new-venv,$(VENV)-spark)
	$(VENV)-spark/bin/python -m pip install --quiet --disable-pip-version-check \
		--editable '.[test]' 'pyspark>=4'
	@touch $@
