# `make demo` and `make test` each work alone on a fresh clone: they make .venv, install, and run.
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed
ARGS ?=

# containers often set this, and then every process compiles all of torch and transformers anew
export PYTHONDONTWRITEBYTECODE =

VLLM := .venv-vllm
VLLM_NEEDS := tests/agents/engines/vllm/environment

.PHONY: demo test install vllm-env

demo: $(INSTALLED)
	$(BIN)/catts demo $(ARGS)

test: $(INSTALLED)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile $(ARGS)

install: $(INSTALLED)

# the real vLLM for tests, on a CPU: an environment of its own, since it needs other versions
vllm-env: $(VLLM)/.installed

$(VLLM)/.installed: $(INSTALLED) $(VLLM_NEEDS)/requirements.txt $(VLLM_NEEDS)/overrides.txt
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python $(VLLM)
	UV_FIND_LINKS="$${UV_FIND_LINKS:-$$PIP_FIND_LINKS}" $(BIN)/uv pip install --quiet \
		--python $(VLLM)/bin/python --override $(VLLM_NEEDS)/overrides.txt \
		$(if $(PIP_FIND_LINKS)$(UV_FIND_LINKS),,--torch-backend cpu) -r $(VLLM_NEEDS)/requirements.txt
	$(BIN)/uv pip install --quiet --python $(VLLM)/bin/python --no-deps -e .  # vLLM loads our plugin
	touch $@

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "CA-TTS needs Python 3.11 or newer: make PYTHON=python3.12 ..."; exit 1; }
	@$(PYTHON) -m venv .venv \
		|| { echo "Python's venv module is missing; on Debian: apt-get install python3-venv"; exit 1; }
	$(BIN)/python -m pip install --quiet -c constraints.txt uv
	$(BIN)/uv pip install --python $(BIN)/python -c constraints.txt -e '.[dev]'
	touch $@
