# SPDX-License-Identifier: LGPL-2.1-or-later
# What people and CI type. How things are built stands in meson.build; this file only calls it.

PYTHON ?= /usr/bin/python3
BUILD ?= build
FUZZ_SECONDS ?= 60
COUNT ?= 2000
MINUTES ?= 60
SEED ?=
MACHINE ?=

# Debian packages that building and the demo need, and those for all tests and benchmarks.
DEPS = meson ninja-build pkg-config gcc libsystemd-dev libsqlite3-dev libjson-c-dev uthash-dev \
	libcmocka-dev libssl-dev libmicrohttpd-dev libjwt-dev zlib1g-dev libcurl4-openssl-dev scdoc \
	libnss-systemd dbus systemd polkitd python3 tzdata git curl
TEST_DEPS = clang clang-tidy clang-format cppcheck libclang-rt-14-dev systemd-container libpam-systemd python3-pytest \
	python3-dbusmock python3-gi python3-dbus gir1.2-glib-2.0 libglib2.0-bin sqlite3 man-db strace \
	xmlstarlet openssl iproute2 python3-jsonschema python3-prometheus-client python3-jwt \
	python3-cryptography nginx-light caddy chromium chromium-driver python3-selenium fonts-inter

SUDO = $(if $(filter-out 0,$(shell id -u)),sudo)

.PHONY: help deps test-deps build demo check lint coverage bench fuzz torture soak install clean

help:
	@echo 'make deps      install what is missing of the Debian packages that building and the demo need'
	@echo 'make test-deps those, and what all tests and benchmarks need (make check calls it)'
	@echo 'make build     compile into $(BUILD)/'
	@echo 'make demo      three connectors on real local data and the page, on a private bus, without root'
	@echo 'make check     build with -Werror and run every test, also under ASan and UBSan'
	@echo 'make lint      clang-tidy and cppcheck over the whole tree, a minute or two'
	@echo 'make coverage  how much of each room the unit, bus, ctl, http and worker suites run'
	@echo 'make bench     run the benchmarks in a release build'
	@echo 'make fuzz      run each libFuzzer target for FUZZ_SECONDS=$(FUZZ_SECONDS)'
	@echo 'make torture   kill the daemon and its workers COUNT=$(COUNT) times under load (SEED= draws the same again);'
	@echo '               MACHINE=1: those of an installed system in a container, and now and then all of it; needs root'
	@echo 'make soak      load the daemon and the HTTP server for MINUTES=$(MINUTES): memory and descriptors may not grow'
	@echo 'make install   install from $(BUILD)/ (DESTDIR= is respected)'
	@echo 'make clean     remove all build folders'

# Installs those of $(1) that are missing.
define install
	@missing=; for package in $(1); do \
		dpkg-query -W -f='$${db:Status-Status}\n' $$package 2>/dev/null | grep -qx installed || \
			missing="$$missing $$package"; \
	done; \
	$(if $(filter python3-pytest,$(1)),command -v npm >/dev/null || missing="$$missing nodejs npm";) \
	[ -z "$$missing" ] || { \
		echo "Installing:$$missing"; \
		$(SUDO) apt-get update -q && \
		$(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $$missing || exit; \
		for server in nginx caddy; do \
			case "$$missing" in \
			*" $$server"*) $(SUDO) systemctl disable -q --now $$server.service 2>/dev/null || :;; \
			esac; \
		done; \
	}
endef

deps:
	$(call install,$(DEPS))

test-deps:
	$(call install,$(DEPS) $(TEST_DEPS))

$(BUILD)/build.ninja:
	meson setup $(BUILD)

build: $(BUILD)/build.ninja
	ninja -C $(BUILD)

demo: deps build
	@$(PYTHON) src/demo/demo.py --build $(BUILD)

check: test-deps
	@$(PYTHON) tests/check.py

# What is asked stands in .clang-tidy and tests/lint/cppcheck.cfg. clang-tidy counts on stderr what it does not show.
lint: test-deps build
	git ls-files 'src/*.c' 'tests/*.c' | xargs -P $$(nproc) -n 16 clang-tidy -p $(BUILD) --quiet 2>/dev/null
	cppcheck --quiet --error-exitcode=1 -j $$(nproc) --std=c11 --enable=warning,performance,portability --inline-suppr \
		--library=tests/lint/cppcheck.cfg --suppress=missingInclude --suppress=memleak --suppress=internalAstError \
		-I src -I $(BUILD) src

# gcov is gcc's own. Where a test fails, what is printed is of those that went well.
coverage: test-deps
	[ -e build-coverage/build.ninja ] || meson setup build-coverage -Db_coverage=true
	ninja -C build-coverage
	find build-coverage -name '*.gcda' -delete
	-meson test -C build-coverage --no-rebuild --quiet --timeout-multiplier 3 $(addprefix --suite ,unit bus ctl http worker)
	@$(PYTHON) tests/coverage.py build-coverage

# What the HTTP server is measured beside.
bench: DEPS += libnginx-mod-nchan redis-server python3-fastapi python3-uvicorn python3-uvloop python3-httptools python3-redis
bench: test-deps
	[ -e build-bench/build.ninja ] || meson setup build-bench --buildtype=release
	ninja -C build-bench
	meson test -C build-bench --benchmark --no-rebuild --verbose

fuzz: test-deps
	[ -e build-fuzz/build.ninja ] || CC=clang meson setup build-fuzz -Dfuzzers=true \
		-Db_sanitize=address,undefined -Db_lundef=false
	ninja -C build-fuzz
	@$(PYTHON) tests/fuzz/run.py --seconds $(FUZZ_SECONDS) build-fuzz

torture: test-deps build
	@SYNCRUND=$(abspath $(BUILD))/src/daemon/syncrund SYNCRUN_WORKER_PROGRAM=$(abspath $(BUILD))/src/worker/syncrun-worker \
		$(PYTHON) tests/fault/campaign.py --kills=$(COUNT) $(if $(SEED),--seed=$(SEED)) \
		$(if $(MACHINE),--machine=$(abspath $(BUILD)))

soak: test-deps build
	@SYNCRUND=$(abspath $(BUILD))/src/daemon/syncrund SYNCRUN_WORKER_PROGRAM=$(abspath $(BUILD))/src/worker/syncrun-worker \
		SYNCRUN_HTTP=$(abspath $(BUILD))/src/http/syncrun-http $(PYTHON) tests/fault/soak.py --minutes=$(MINUTES)

install: build
	meson install -C $(BUILD) --no-rebuild

clean:
	rm -rf $(BUILD) build-check build-asan build-bench build-coverage build-fuzz
