# What .ci/run runs and a contributor runs.
PYTHON ?= .venv/bin/python

.PHONY: check lint types imports test wheel benchmark
check: lint types imports test wheel

lint:
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m auditpack lint

types:
	$(PYTHON) -m mypy

imports:
	PYTHONPATH=. $(PYTHON) -c "from importlinter.cli import lint_imports_command as c; c()"

test:
	$(PYTHON) -m pytest -n 2

wheel:
	scripts/check-wheel.sh

benchmark:
	$(PYTHON) benchmarks/judge.py
	$(PYTHON) benchmarks/seal.py
	$(PYTHON) benchmarks/redaction.py
	$(PYTHON) benchmarks/verify.py
	$(PYTHON) benchmarks/crash.py
	$(PYTHON) benchmarks/tamper.py
	$(PYTHON) benchmarks/many_captures.py
