# Everything a person or a machine does here has one name. `make help` lists them.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
DEMO_PATIENTS ?= 20000

# One thread in the linear algebra: the same bytes on any number of cores, and faster on matrices of this size.
export OPENBLAS_NUM_THREADS := 1

.DEFAULT_GOAL := help
.PHONY: help setup setup-run demo test lint test-slow test-kernels test-two-kernels mutants recovery examples bench-cohort bench-effect bench-design schema docs lock clean

help:            ## List what can be done
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## */\t/' | expand -t 16

$(VENV)/run.stamp: requirements/runtime.lock pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(None if (3, 11) <= v < (3, 14) else f"Rapport needs Python 3.11 to 3.13; {sys.executable} is {v[0]}.{v[1]}. Try: make PYTHON=python3.11 demo")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements/runtime.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/dev.stamp: $(VENV)/run.stamp requirements/dev.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements/dev.lock
	@touch $@

setup-run: $(VENV)/run.stamp    ## Install what running needs, into .venv
setup: $(VENV)/dev.stamp        ## Install what developing needs, into .venv

demo: setup-run  ## Simulate, validate, design, approve (simulated board), estimate, report
	$(BIN)/rapport run configs/studies/duty_to_warn.yaml --synthetic $(DEMO_PATIENTS) --seed 1

test: setup      ## Lint, types, import contracts and every test that is not slow
	$(MAKE) --no-print-directory lint
	$(BIN)/python -m pytest -q -n 2 --dist worksteal

lint: setup      ## Ruff, mypy --strict, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test-slow: setup ## The slow studies: coverage, recovery, large extracts
	$(BIN)/python -m pytest -q -m slow

test-kernels: setup ## Every test that is not slow, and the demo byte for byte, under four kernels of linear algebra
	$(BIN)/python tests/invariance/kernels.py

test-two-kernels: setup ## The invariance tests under a second kernel, the oldest (`make test` runs them under this machine's own)
	$(BIN)/python tests/invariance/kernels.py --kernels Prescott --tests tests/invariance --patients 0

SAMPLE ?= 100
SEED ?= 1
mutants: setup   ## Small mistakes made on purpose: whether tests notice them (SAMPLE=100 SEED=1; SAMPLE=0 makes all)
	$(BIN)/python tests/mutation/run.py --sample $(SAMPLE) --seed $(SEED)

recovery: setup  ## Replicates with a known truth: bias, coverage, type I error; the pipeline, every family, the weights
	$(BIN)/python tests/recovery/recover.py --replicates 1000 --jobs 2 --markdown docs/explanation/recovery.md
	$(BIN)/python tests/recovery/secondary.py --replicates 1000
	$(BIN)/python tests/recovery/curved.py --replicates 200
	$(BIN)/python tests/recovery/families.py --replicates 200 --jobs 2
	$(BIN)/python tests/recovery/weighting_se.py --jobs 2
	$(BIN)/python tests/recovery/propensity_models.py --replicates 200 --jobs 2 --markdown docs/explanation/recovery-of-propensity-models.md

examples: setup  ## LaLonde, NHEFS and three long tables beside their published values
	$(BIN)/rapport run configs/studies/examples/lalonde.yaml
	$(BIN)/rapport run configs/studies/examples/lalonde_psid.yaml
	$(BIN)/rapport run configs/studies/examples/nhefs.yaml
	$(BIN)/rapport run configs/studies/examples/nhefs_standardisation.yaml
	$(BIN)/rapport run configs/studies/examples/nhefs_doubly_robust.yaml
	$(BIN)/rapport run configs/studies/examples/orthodont.yaml
	$(BIN)/rapport run configs/studies/examples/respiratory.yaml
	$(BIN)/rapport run configs/studies/examples/bladder.yaml

bench-cohort: setup ## A million patients: cohort and validation beside a plain scan
	$(BIN)/python benchmarks/cohort.py

bench-design: setup ## Every matching and weighting method beside a sort of the same numbers
	$(BIN)/python benchmarks/run.py design

bench-effect: setup ## The answer side beside statsmodels, scikit-learn or plain least squares; one replicate of the flagship
	$(BIN)/python benchmarks/run.py effect

schema: setup-run ## Write the JSON Schema of study files
	$(BIN)/rapport schema --out configs/schema/study.schema.json

docs: setup      ## Write the reference pages again from the code
	$(BIN)/python docs/generate.py

lock:            ## Resolve the locks again (needs uv)
	uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --quiet -o requirements/runtime.lock
	uv pip compile pyproject.toml --group dev --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --quiet -o requirements/dev.lock

clean:           ## Remove build products (results stay)
	rm -rf build .pytest_cache .mypy_cache .ruff_cache .hypothesis
