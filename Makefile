# Bare `make` prints what there is. Every target makes the environment it needs by itself.

.DEFAULT_GOAL := help
SHELL := /bin/sh
BIN := .venv/bin
MASTERIA := $(BIN)/masteria
UV_COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.12 --generate-hashes \
	--no-emit-index-url --no-emit-find-links

##@ Run

up: .runtime ## Start everything on this machine: console, API, workers, servers; Ctrl-C stops it
	@exec $(MASTERIA) up

doctor: .runtime ## Check everything that must be right, and say what to do about what is not
	@$(MASTERIA) doctor

seed: .runtime ## Fill an empty database with the demo company (while it runs)
	@$(MASTERIA) seed

reset: .runtime ## Delete all data of this machine, after asking; YES=1 does not ask
	@$(MASTERIA) reset $(if $(YES),--yes)

repair: ## Make the environment anew
	@rm -rf .venv && scripts/set-up runtime

##@ Prove

test: .dev ## Run every test, those in a real browser too; ARGS="-k name" chooses
	@scripts/find-chromium >/dev/null
	@$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder $(ARGS)

chaos: .dev ## Long fault runs: planted bugs are found, then processes killed and frozen under campaigns; ARGS="--seeds 17"
	@$(BIN)/pytest -m long -n 0 -s tests/faults --ignore tests/faults/test_restore.py
	@$(BIN)/python -m tests.faults $(ARGS)

soak: .dev ## Two hours at an even pace: faults in the first third, memory in the last; ARGS="--minutes 30"
	@$(BIN)/python -m tests.faults.soak $(ARGS)

drill: .dev ## Lose a machine in the middle of a campaign, restore another from its backup, ask the provider's log
	@$(BIN)/pytest -m long -n 0 -q -s tests/faults/test_restore.py $(ARGS)

check: .dev ## Read the code: style, types, floors, house rules
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check --quiet . || { echo "Run 'make format'." >&2; exit 1; }
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache
	@scripts/build-widgets --check
	@$(BIN)/pytest -q tests/house $(ARGS)

format: .dev ## Put every file into our form
	@$(BIN)/ruff check --fix --quiet . ; $(BIN)/ruff format .

##@ Measure

bench-send: .dev ## Sending, raced against Node peers and the floor (needs Node and wrk); ARGS="--only product"
	@$(BIN)/python -m benchmarks.send $(ARGS)

bench-where: .dev ## Where each microsecond of sending goes; ARGS="--profiles folder/" (needs py-spy)
	@$(BIN)/python -m benchmarks.where $(ARGS)

bench-receive: .dev ## Webhooks taken and statuses applied, raced against Express and the floor (needs Node and wrk)
	@$(BIN)/python -m benchmarks.receive $(ARGS)

bench-limits: .dev ## A slow provider, replies beside a blast, a large audience, memory; ARGS="--people 1000000"
	@$(BIN)/python -m benchmarks.limits $(ARGS)

bench-scale: .dev ## How cost grows with processes, numbers, companies and rows; ARGS="--rows 4000000"
	@$(BIN)/python -m benchmarks.scale $(ARGS)

bench-live: .dev ## From an event on the wire to a pixel on the console
	@scripts/find-chromium >/dev/null
	@$(BIN)/python -m benchmarks.live $(ARGS)

bench-import: .dev ## A contact file of 100,000 rows: seconds and memory
	@$(BIN)/python -m benchmarks.import_contacts $(ARGS)

##@ Keep

widgets: .dev ## Compile the console's components anew (needs Node)
	@scripts/build-widgets

lock: .dev ## Lock every package anew, with hashes
	@$(BIN)/python -m uv --version >/dev/null 2>&1 || $(BIN)/python -m pip install --quiet uv
	@$(UV_COMPILE) --extra embedded pyproject.toml -o requirements/runtime.lock
	@$(UV_COMPILE) --extra embedded --extra dev -c requirements/runtime.lock pyproject.toml -o requirements/dev.lock

.runtime:
	@scripts/set-up runtime

.dev:
	@scripts/set-up dev

help:
	@awk 'BEGIN { FS = ":.*## " } \
		/^##@ / { printf "\n%s\n", substr($$0, 5) } \
		/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@printf '\nStart with:  make up\n'

.PHONY: help up doctor seed reset repair test chaos soak drill check format bench-send bench-where bench-receive bench-limits bench-scale bench-live bench-import widgets lock \
	.runtime .dev
