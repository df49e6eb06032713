# make demo    hear it: analyses a real song (SONG=file.mp3 for one of yours), trains an adapter for a short while, generates I V vi IV; leaves out/
# make test    everything; under 25 minutes on two cores
# make check   ruff and mypy, then the tests
# make docs    the site into build/site; a broken link or a missing page is an error
# Each makes its own environment in .venv at the versions of constraints.txt. PYTHON=python3.12 picks the interpreter.

PYTHON ?= python3
VENV := .venv
CACHE := .cache
RUN := $(VENV)/bin/python
SOUNDFONT := $(CACHE)/soundfont/usr/share/sounds/sf3/FluidR3Mono_GM.sf3
export MUSETUNE_SOUNDFONT = $(wildcard $(abspath $(SOUNDFONT)))
ifeq ($(strip $(MUSETUNE_SOUNDFONT)),)
unexport MUSETUNE_SOUNDFONT
endif

.PHONY: install soundfont browser demo test pytest check lint docs clean

install: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml constraints.txt tools/install.sh
	PYTHON=$(PYTHON) tools/install.sh $(VENV)

soundfont:
	@tools/debian.sh fluidr3mono-gm-soundfont $(CACHE)/soundfont || echo "going on with the small soundfont of pretty_midi; for a better one set MUSETUNE_SOUNDFONT to an .sf2 or .sf3 file"

browser:
	@tools/debian.sh "chromium-headless-shell fonts-dejavu-core" $(CACHE)/chromium || echo "going on without; the tests of the web page use a Chromium on the PATH or at MUSETUNE_CHROMIUM"

demo: install
	$(RUN) recipes/demo.py $(if $(SONG),--song "$(SONG)")

test: install soundfont browser
	@$(MAKE) --no-print-directory pytest

# a process for each core, of one thread each: the nets of the tests are too small for more
pytest:
	OMP_NUM_THREADS=1 $(RUN) -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile

lint: install
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

check: lint test

docs: install
	$(RUN) -m pip install --quiet --disable-pip-version-check -c constraints.txt --editable ".[docs]"
	$(RUN) -m mkdocs build --strict --site-dir build/site

clean:
	rm -rf $(VENV) $(CACHE) out build dist
