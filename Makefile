# What can be done with this checkout. `make run` and `make test` need nothing before them.
#
#   PYTHON=…   the interpreter (3.9 or later); each has an environment of its own
#   ARGS=…     more arguments for pytest: make test ARGS='-k respawn -x'

PYTHON ?= python3
ifeq ($(PYTHON),python3)
VENV ?= .venv
else
VENV ?= .venv-$(shell $(PYTHON) -c 'import sys; print("%d.%d.%d" % sys.version_info[:3])')
endif

STAMP := $(VENV)/.set-up
SOURCES_OF_SETUP := pyproject.toml packaging/setup-checkout $(wildcard setup.py compat/backends/*.[ch])
BENCHES := $(wildcard bench/*.py)

.PHONY: help setup run stop test lint bench deb rpm install clean

help:
	@echo 'make setup   install what is missing, make $(VENV), build the launcher'
	@echo 'make run     start a daemon with the examples and show what it does'
	@echo 'make stop    end that daemon'
	@echo 'make test    run every test'
	@echo 'make lint    ruff and mypy'
	@echo 'make bench   print the tables of bench/'
	@echo 'make deb     build the package for Debian and Ubuntu in dist/'
	@echo 'make rpm     build the package for RHEL, Amazon Linux and Fedora in dist/ (ARGS for rpmbuild)'
	@echo 'make install put everything in its place below DESTDIR'
	@echo 'make clean   remove environments, caches and what was built'

setup: $(STAMP)

$(STAMP): $(SOURCES_OF_SETUP)
	packaging/setup-checkout '$(PYTHON)' '$(VENV)'
	@touch '$@'

run: setup
	examples/show.sh '$(VENV)/bin'

stop:
	examples/show.sh --end

test: setup
	$(VENV)/bin/python -m pytest $(ARGS)

lint: setup
	$(VENV)/bin/python -m ruff check .
	$(VENV)/bin/python -m mypy --strict compat/

bench: setup
	@set -e; for table in $(BENCHES); do echo "== $$table"; $(VENV)/bin/python "$$table"; done

deb:
	@packaging/build-deb

rpm:
	@packaging/build-rpm $(ARGS)

install:
	packaging/install-files '$(DESTDIR)'

clean:
	rm -rf .venv .venv-* build dist *.egg-info .hypothesis .mypy_cache .pytest_cache .ruff_cache
	rm -f compat/backends/upstart-compat-launcher
	find compat tests bench -name __pycache__ -prune -exec rm -rf {} +
