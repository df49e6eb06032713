# make demo    hear it: analyses a real song (SONG=file.mp3 for one of yours), trains an adapter for a short while, generates I V vi IV; leaves out/
# make recordings  fetches 590 MB of produced music by package name into .cache, for tests and for your own adapters; lists licences and authors
# make quick   what one runs between edits: no judges, browser, recipes or slow tests; some four minutes on two cores
# make test    everything; some 30 minutes on two cores
# make check   ruff and mypy, then the tests
# make docs    the site into build/site; a broken link or a missing page is an error
# make cluster the service and annotate on clusters of Ray that are started here; some ten minutes
# make fuzz    hostile input to every reader for hours: rounds of FUZZ_EXAMPLES inputs a reader until FUZZ_SECONDS have passed
# Each makes its own environment in .venv at the versions of constraints.txt. PYTHON=python3.12 picks the interpreter;
# JUDGES=no leaves out the recognisers that are compiled, and the tests that need them are skipped.

PYTHON ?= python3
JUDGES ?= yes
FUZZ_EXAMPLES ?= 20000
FUZZ_SECONDS ?= 14400
VENV := .venv
CACHE := .cache
RUN := $(VENV)/bin/python
SOUNDFONT := $(CACHE)/soundfont/usr/share/sounds/sf3/FluidR3Mono_GM.sf3
# one that the environment names comes first
ifeq ($(strip $(MUSETUNE_SOUNDFONT)),)
ifneq ($(wildcard $(SOUNDFONT)),)
export MUSETUNE_SOUNDFONT := $(abspath $(SOUNDFONT))
endif
endif
# a process for each core, of one thread each: the nets of the tests are too small for more
PYTEST := OMP_NUM_THREADS=1 $(RUN) -m pytest --durations 15 --numprocesses auto --maxprocesses 4
# what numba compiles for librosa is kept on disk: test processes that write it at once break it, and all crash then
WARM := import librosa, numpy as np; y = np.random.default_rng(0).normal(size=44100); \
	librosa.feature.chroma_stft(y=y); librosa.beat.beat_track(y=y); librosa.onset.onset_detect(y=y); \
	librosa.zero_crossings(y); librosa.util.localmax(y); librosa.util.localmin(y)
LIGHT := not recipe and not heavy and not browser and not cluster and not real_size

.PHONY: install soundfont browser prometheus postgresql recordings demo quick test pytest cluster fuzz check lint docs clean

install: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml constraints.txt tools/install.sh
	PYTHON=$(PYTHON) JUDGES=$(JUDGES) tools/install.sh $(VENV)

soundfont:
	@tools/debian.sh fluidr3mono-gm-soundfont $(CACHE)/soundfont || echo "going on with the small soundfont of pretty_midi; for a better one set MUSETUNE_SOUNDFONT to an .sf2 or .sf3 file"

browser:
	@tools/debian.sh "chromium-headless-shell fonts-dejavu-core" $(CACHE)/chromium || echo "going on without; the tests of the web page use a Chromium on the PATH or at MUSETUNE_CHROMIUM"

prometheus:
	@tools/debian.sh prometheus $(CACHE)/prometheus || echo "going on without; the tests of monitoring use a prometheus and a promtool on the PATH or in the folder MUSETUNE_PROMETHEUS"

postgresql:
	@tools/debian.sh postgresql $(CACHE)/postgresql || echo "going on without; the tests of the service's store for several machines use a PostgreSQL of the system or at MUSETUNE_POSTGRESQL"

recordings: install
	$(RUN) recipes/analyzer/materials.py cache=$(CACHE)/materials recordings=true materials=false

demo: install
	$(RUN) recipes/demo.py $(if $(SONG),--song "$(SONG)")

quick: install
	$(PYTEST) --dist worksteal -m "not slow and not judge and not browser and not recipe and not cluster and not real_size"

test: install soundfont browser prometheus postgresql
	@$(MAKE) --no-print-directory pytest

# A process of the tests grows with what it has tested, so the rooms are tested in two halves. What starts further processes
# runs in two rows beside each other: service, page in a browser, documentation and two recipes; the other recipes and the
# README. The networks of the real size come last and alone, with a thread for each core.
SERVICE := tests/serve tests/datasets tests/docs $(addprefix tests/recipes/,test_align.py test_gallery.py)
pytest:
	@$(RUN) -c "$(WARM)"
	$(PYTEST) --dist loadfile -m "$(LIGHT)" tests/[a-e]*/
	$(PYTEST) --dist loadfile -m "$(LIGHT)" tests/[f-z]*/ tests/test_*.py
	@mkdir -p $(CACHE); \
	OMP_NUM_THREADS=1 $(RUN) -m pytest --durations 15 -m "(browser or heavy or recipe) and not cluster" $(SERVICE) >$(CACHE)/service.log 2>&1 & service=$$!; \
	OMP_NUM_THREADS=1 $(RUN) -m pytest --durations 15 -m "(recipe or heavy) and not cluster" $(SERVICE:%=--ignore=%); rest=$$?; \
	wait $$service; service=$$?; cat $(CACHE)/service.log; exit $$((rest + service))
	$(RUN) -m pytest -m real_size

cluster: install postgresql
	OMP_NUM_THREADS=1 $(RUN) -m pytest -m cluster

fuzz: install
	@export MUSETUNE_FUZZ_EXAMPLES=$(FUZZ_EXAMPLES); end=$$(($$(date +%s) + $(FUZZ_SECONDS))); round=0; \
	while [ $$round = 0 ] || [ $$(date +%s) -lt $$end ]; do \
		round=$$((round + 1)); echo "round $$round of $(FUZZ_EXAMPLES) inputs a reader"; \
		$(PYTEST) --dist worksteal -m fuzz --hypothesis-seed=$$(date +%s) || exit 1; \
	done

lint: install
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

check: lint test

docs: install
	$(RUN) -m mkdocs build --strict --site-dir build/site

clean:
	rm -rf $(VENV) $(CACHE) out build dist
