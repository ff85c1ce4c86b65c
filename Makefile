# make run             start with the demo library: real films and speech to search in
# make run MEDIA=/dir  start with your own folder of videos
# make test            everything that CI checks
#
# Needs Python 3.11 or newer, git and make, nothing else. PYTHON=... names an interpreter,
# PORT=... another port, ARGS=... more options of `heimdex try`.

VENV := .venv
BIN := $(VENV)/bin
TEST_MODELS := build/models
MODELS := use-m3 whisper-base whisper-tiny.en pp-ocr
CANDIDATES := $(PYTHON) python3.13 python3.12 python3.11 python3.14 python3 python

.PHONY: run test lint bench quality clean venv venv-test chromium test-models

run: venv
	@exec $(BIN)/heimdex try $(if $(PORT),--port $(PORT)) $(ARGS) $(if $(MEDIA),"$(MEDIA)")

test: venv-test chromium test-models lint
	@$(BIN)/python -m pytest -n 2 --dist loadgroup $(ARGS)

lint: venv-test
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/mypy
	@$(BIN)/codespell

bench: venv-test test-models
	@$(BIN)/python -m tests.bench.run $(ARGS)

quality: venv-test test-models
	@$(BIN)/python -m tests.quality.run $(ARGS)

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

# --- the environment ------------------------------------------------------------------------------
# A stamp carries the checksum of what was installed, so that a second start asks nobody: no pip, no
# network. A checkout that changes file times changes nothing.

CHECKSUM = $$(cat pyproject.toml tests/constraints.txt | cksum | tr ' ' -)

venv:
	@$(BIN)/python -c '' 2>/dev/null || rm -rf $(VENV)
	@[ -e $(VENV)/.run-$(CHECKSUM) ] || [ -e $(VENV)/.test-$(CHECKSUM) ] || \
		$(MAKE) --no-print-directory .install WHAT=. STAMP=.run

venv-test:
	@$(BIN)/python -c '' 2>/dev/null || rm -rf $(VENV)
	@[ -e $(VENV)/.test-$(CHECKSUM) ] || \
		$(MAKE) --no-print-directory .install WHAT='.[test]' STAMP=.test

.PHONY: .install
.install:
	@mkdir -p build
	@[ -x $(BIN)/python ] || { \
		for python in $(CANDIDATES); do \
			"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && \
				{ found=$$python; break; }; \
		done; \
		[ -n "$$found" ] || { echo 'Python 3.11 or newer is needed. Install it, or say' \
			'where it is: make run PYTHON=/path/to/python3'; exit 1; }; \
		"$$found" -c 'import ensurepip, venv' 2>/dev/null || { echo "$$found cannot make a virtual" \
			'environment. On Debian and Ubuntu: sudo apt install python3-venv'; exit 1; }; \
		"$$found" -m venv $(VENV); }
	@echo 'Installing Heimdex and what it stands on, once: some 250 MB to download, 700 MB on disk ...'
	@{ $(BIN)/python -m pip install --progress-bar off --disable-pip-version-check --no-input \
		-c tests/constraints.txt -e '$(WHAT)' 2>&1; echo "status $$?"; } | tee build/install.log | \
		awk -v tty="$$([ -t 1 ] && echo 1)" ' \
			/^status / { status = $$2; next } \
			/^Collecting / && tty { printf "\r\033[K  %s", $$2; fflush() } \
			/^Installing collected/ && tty { printf "\r\033[K  unpacking"; fflush() } \
			/^ERROR|^error/ { printf "\r\033[K%s\n", $$0 } \
			END { if (tty) printf "\r\033[K"; exit status }' \
		|| { echo 'The installation failed; build/install.log says all.'; exit 1; }
	@rm -f $(VENV)/.run-* $(VENV)/.test-*
	@touch $(VENV)/$(STAMP)-$(CHECKSUM)

# --- what only tests need -------------------------------------------------------------------------

test-models: venv-test
	@$(BIN)/heimdex models get --to $(TEST_MODELS) $(MODELS) || \
		echo 'Tests that need a model that is missing are skipped.'

chromium:
	@mkdir -p build
	@[ -x /usr/bin/chromium ] || \
		{ [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && \
			apt-get update -qq >/dev/null && \
			apt-get install -qqy chromium >build/apt.log 2>&1; } || \
		echo 'There is no /usr/bin/chromium: the browser tests are skipped.'
