# Everything a developer runs; `make help` lists it. Needs only make and Python >= 3.11.

PYTHON ?= python3
UV     ?= uv
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check -qq

.DEFAULT_GOAL := help
.PHONY: help run test check fmt lock bench peers growth connections toggles soak fuzz clients cluster studio structure followproof dist version deploytrial diagrams clean proof proof-negative

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-14s %s\n", $$1, $$2 }' Makefile

run: $(VENV)/.ready ## the service on port 3001 with a development Postgres of its own (ARGS="…" goes to retrobus dev)
	@exec $(BIN)/retrobus dev $(ARGS)

# Three workers, each with a Postgres of its own: tests wait for processes a third of their time, so two leave cores idle.
# With a given server, which they would share, one process.
WORKERS ?= $(if $(TEST_DATABASE_URL),0,3)

test: check ## everything: the checks, then all tests, about 12 minutes on two cores (ARGS="-m faults" for some)
	$(BIN)/pytest -n $(WORKERS) --dist worksteal $(ARGS)

check: $(VENV)/.ready ## format, lint, types and import rules; changes nothing
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/oxlint --deny-warnings -D correctness -D suspicious src/retrobus/studio

fmt: $(VENV)/.ready ## format the code and repair what the linter can
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.ready ## measure the service beside its peers and its limit: a table and a picture, six minutes (ARGS="--against REV")
	@$(BIN)/python bench/run.py $(ARGS)

peers: $(VENV)/.ready ## install what `make bench` measures beside the service (needs the network, Node.js)
	@$(BIN)/python bench/peers/install.py

growth: $(VENV)/.ready ## what a request costs when the tables grow to 500,000 events and a million tombstones (ten minutes)
	@$(BIN)/python bench/growth.py $(ARGS)

connections: $(VENV)/.ready ## 1,000 kept-alive connections: mostly idle, busy, overloaded (six minutes; ARGS="--connections 200")
	@$(BIN)/python bench/connections.py $(ARGS)

followproof: $(VENV)/.ready ## writers of every kind and six followers of the changes: their copies differ by nothing (ARGS="--seconds 300 --seeds 1 2 3")
	@$(BIN)/python bench/following.py $(ARGS)

diagrams: ## draw the pictures of docs/scaling.md again (Debian: graphviz)
	@for source in docs/images/*.dot; do dot -Tsvg "$$source" | sed '/^<!-- Generated/,/-->/d' >"$${source%.dot}.svg"; done

soak: $(VENV)/.ready ## a random run with kills, restarts and old files, judged by a model (ARGS="--seed 7 --steps 10000")
	@$(BIN)/python bench/soak.py $(ARGS)

proof: $(VENV)/.ready ## the promises under every fault, strict and fallback, judged: two tables (six minutes; ARGS="--fault kill")
	@$(BIN)/python bench/proof.py $(ARGS)

proof-negative: $(VENV)/.ready ## services with known bugs, each of which the proof must catch (four minutes; ARGS="--bug journal")
	@$(BIN)/python bench/proof_negative.py $(ARGS)

.PHONY: mutation
mutation: $(VENV)/.ready ## small mistakes in the pure core, of which fast tests must notice 90 % (twelve minutes; ARGS="journal" for one module)
	@$(BIN)/python bench/mutation.py $(ARGS)

fuzz: $(VENV)/.ready ## requests from the API reference, good and bad, with PostgreSQL and from memory (ARGS="--max-examples 300", --record)
	@$(BIN)/python bench/fuzz.py $(ARGS)

.PHONY: flood
flood: $(VENV)/.ready ## nine attacks while a healthy client uses the service (twenty minutes; ARGS="--only streams" for some, --record)
	@$(BIN)/python bench/flood.py $(ARGS)

clients: $(VENV)/.ready ## make a Python and a TypeScript client from the API reference and use them (needs the network, Node.js)
	@$(BIN)/python bench/clients.py

toggles: $(VENV)/.ready ## every combination of the three toggles through outages, restarts and kills: the table (a minute)
	@$(BIN)/python bench/toggles.py

cluster: $(VENV)/.ready ## faults on PostgreSQL under Patroni, judged (20 minutes; ARGS="--record", "--mode sync --nodes 3"; needs Debian packages)
	@$(BIN)/python bench/cluster.py $(ARGS)

studio: $(VENV)/.ready ## measure the Studio in a browser and take the pictures of docs/studio.md (a minute; needs chromium)
	@$(BIN)/python bench/studiopage.py

structure: ## files, lines by room, long functions, SQL, imports between rooms (ARGS="--against REV")
	@$(PYTHON) bench/structure.py $(ARGS)

# From the committed files alone and with one date inside: two machines make the same bytes, as SHA256SUMS shows.
EPOCH := 1577836800

dist: ## the release in dist/: wheel, sources, lock, SHA256SUMS (of the last commit; the same bytes on every machine)
	@git diff --quiet HEAD || echo "uncommitted changes are not in the release" >&2
	@rm -rf dist build/release && mkdir -p dist build/release/source
	@git archive HEAD | tar -x -C build/release/source
	@$(PYTHON) -m venv build/release/venv
	@build/release/venv/bin/pip --disable-pip-version-check -qq install --require-hashes -r requirements-build.lock
	@cd build/release/source && umask 022 && SOURCE_DATE_EPOCH=$(EPOCH) ../venv/bin/hatchling build -d ../../../dist >/dev/null
	@cp build/release/source/requirements.lock dist/
	@cd dist && sha256sum requirements.lock retrobus-*.whl retrobus-*.tar.gz >SHA256SUMS && cat SHA256SUMS

deploytrial: $(VENV)/.ready ## README and the runbook, word by word, on a new Debian 12 with systemd (root; needs debootstrap systemd-container)
	@$(BIN)/python bench/deploytrial.py $(ARGS)

version: ## the version of this checkout (in src/retrobus/__init__.py)
	@sed -n 's/^__version__ = "\(.*\)"/\1/p' src/retrobus/__init__.py

# The locks come from one resolution: production runs the versions that were tested.
COMPILE = $(UV) pip compile -q --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-annotate --custom-compile-command "make lock"

lock: ## pin the newest versions that pyproject.toml allows (needs uv)
	@command -v $(UV) >/dev/null || { echo "make lock needs uv: install it, or say make lock UV=/path/to/uv" >&2; exit 1; }
	$(COMPILE) pyproject.toml --upgrade --extra dev --extra test --group build -o requirements-dev.lock
	$(COMPILE) pyproject.toml --upgrade --constraint requirements-dev.lock -o requirements.lock
	$(COMPILE) pyproject.toml --upgrade --extra bench --group build --constraint requirements-dev.lock -o requirements-bench.lock
	$(COMPILE) --group pyproject.toml:build --upgrade --constraint requirements-dev.lock -o requirements-build.lock

clean: ## remove what can be made again; data and backups stay
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis build dist
	find src tests migrations bench -name __pycache__ -prune -exec rm -rf {} + 2>/dev/null || true

$(VENV)/.packages: requirements-dev.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed. Choose one: make PYTHON=/path/to/python3.12 …" >&2; exit 1; }
	@echo "Installing into $(VENV) (once, under a minute)…"
	@$(PYTHON) -m venv --clear $(VENV) || \
		{ echo "$(PYTHON) cannot make a virtual environment. On Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	@$(PIP) install --require-hashes -r requirements-dev.lock
	@touch $@

$(VENV)/.ready: $(VENV)/.packages pyproject.toml
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@
