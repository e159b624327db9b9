# askai. `make chat` serves the page, `make test` runs the tests; both set up what they need.
#   HOST=0.0.0.0 PORT=8000 make chat     another address (one that others reach needs AUTH=user:password)
#   PYTHON=python3.12 make chat          another interpreter (3.11 or newer)

PYTHON ?= python3
HOST ?= 127.0.0.1
PORT ?= 7860
AUTH ?=
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
# Pinned versions, each file checked by its hash; then the source itself, linked, so that a change needs no
# second installation.
LOCKED := $(PIP) install --quiet --require-hashes --no-deps -r
# The build without CUDA, a tenth of the size; its own index has it where pip's does not.
TORCH := torch==2.13.0+cpu
TORCH_CPU := $(PIP) install --quiet --no-deps --index-url https://download.pytorch.org/whl/cpu $(TORCH)
SOURCE := $(PIP) install --quiet -e

.PHONY: chat test lint lock clean help
.DEFAULT_GOAL := help

help:
	@sed -n '1,3s/^# //p' $(firstword $(MAKEFILE_LIST))

$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "需要 Python 3.11 或更新的版本（可用 PYTHON=python3.12 make chat 指定）。" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || \
	  { echo "无法建立虚拟环境。Debian/Ubuntu 请先运行：apt-get install python3-venv" >&2; exit 1; }
	@touch $@

$(VENV)/.installed: pyproject.toml requirements.lock $(VENV)/.made
	@echo "安装依赖（第一次约需一两分钟）……"
	@$(LOCKED) requirements.lock || { $(TORCH_CPU) && $(LOCKED) requirements.lock; }
	@$(SOURCE) .
	@touch $@

$(VENV)/.installed-dev: requirements-dev.lock $(VENV)/.installed
	@echo "安装测试工具……"
	@$(LOCKED) requirements-dev.lock
	@$(SOURCE) '.[dev]'
	@touch $@

index/CURRENT: | $(VENV)/.installed
	@$(BIN)/askai build

chat: $(VENV)/.installed | index/CURRENT
	@exec $(BIN)/askai chat --host $(HOST) --port $(PORT) $(if $(AUTH),--auth '$(AUTH)')

test: $(VENV)/.installed-dev
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null || \
	  command -v google-chrome >/dev/null || \
	  echo "没有找到 Chromium，浏览器测试会跳过。Debian/Ubuntu 可运行：apt-get install chromium fonts-noto-cjk" >&2
	@$(BIN)/python -m pytest $(ARGS)

lint: $(VENV)/.installed-dev
	@$(BIN)/ruff check .
	@$(BIN)/mypy

# Of $(TORCH) for x86-64 and CPython 3.11.
TORCH_HASH := 6746dbcbeb526eb61330b76b41ff1b4eb848951103a892eeb080dfa2b264667b
LOCK := UV_CUSTOM_COMPILE_COMMAND='make lock' uv pip compile pyproject.toml --quiet --universal \
  --python-version 3.11 --generate-hashes --no-annotate

# Keeps the versions that stand there; `make lock LOCKFLAGS=--upgrade` takes the newest. Needs uv.
lock:
	$(LOCK) $(LOCKFLAGS) -o requirements.lock
	$(LOCK) --extra dev -c requirements.lock -o requirements-dev.lock
	sed -i "s/^torch==2\.13\.0 .*/$(TORCH) ; sys_platform == 'linux' \\\\\n    --hash=sha256:$(TORCH_HASH)\ntorch==2.13.0 ; sys_platform != 'linux' \\\\/" \
	  requirements.lock requirements-dev.lock

clean:
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
