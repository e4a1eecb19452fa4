# Two commands matter: `make demo` and `make test`. Each makes its own virtual environment in .venv, once.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: demo test lint bench clean

demo: $(VENV)/installed
ifdef PHOTOS
	$(BIN)/steelsight inspect "$(PHOTOS)" --out demo || [ $$? = 1 ]  # 1: some could not be read, each is named
else
	rm -rf demo
	$(BIN)/steelsight data synth demo/steel --per-class 100
	$(BIN)/steelsight train demo/steel --model millnet --set 'stages=[{epochs: 40, size: 128}]' --set batch_size=16 --out demo/run
	$(BIN)/steelsight data synth demo/fresh --per-class 8 --seed 1
	$(BIN)/steelsight inspect demo/fresh/IMAGES --model demo/run --out demo
endif
	@echo "Open $(CURDIR)/demo/report.html"

test: lint
	OMP_NUM_THREADS=1 $(BIN)/pytest --numprocesses auto --dist worksteal
	$(BIN)/python tests/smoke.py

lint: $(VENV)/installed
	$(BIN)/ruff check src tests studies benchmarks
	$(BIN)/ruff format --check src tests studies benchmarks
	$(BIN)/mypy
	$(BIN)/lint-imports

# About a quarter of an hour on two idle cores. What benchmarks/results holds already is not measured again: delete it first.
bench: $(VENV)/installed
	$(BIN)/python -m benchmarks.speed
	$(BIN)/python -m benchmarks.growth
	$(BIN)/python -m benchmarks.page

$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[train,dev]'
	touch $@

clean:
	rm -rf $(VENV) demo build dist
