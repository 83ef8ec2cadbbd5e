# The targets install what they need into .venv, once; nothing but Python 3.11 or 3.12, gcc and
# make has to be there. Settings:
#   EXTRA=cpu|gpu   which vLLM (default: by nvidia-smi)     PYTHON=...   the interpreter for .venv
#   ARGS="..."      passed on to the command, as in: make test ARGS="-k keyed -x"
export EXTRA PYTHON
BIN := .venv/bin
CODE := recaption train tests

.DEFAULT_GOAL := help
.PHONY: help install demo test test-fast check bench clean

help: ## print this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 11
	@echo 'Settings: EXTRA=cpu|gpu, PYTHON=python3.11, ARGS="..." (see the Makefile)'

install: ## make .venv and install everything into it (done once; the other targets do it too)
	@.ci/install

demo: install ## caption rendered images with a small model on real vLLM, train on the result, report
	@$(BIN)/python -m recaption demo $(ARGS)

test: install ## run the tests, against a real S3 server where one can be started
	@.ci/test $(ARGS)

test-fast: install ## run the unit tests: no Ray, no vLLM, no S3, no training; a minute and a half
	@$(BIN)/python -m pytest --fast $(ARGS)

check: install ## lint, formatting, types
	$(BIN)/ruff check $(CODE)
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/mypy

bench: install ## measure what docs/results.md reports
	@$(BIN)/python -m tests.benchmarks $(ARGS)

clean: ## remove caches and outputs, but not .venv
	rm -rf out build dist *.egg-info .pytest_cache .ruff_cache .mypy_cache
	find $(CODE) -name __pycache__ -prune -exec rm -rf {} +
