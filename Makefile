# meerkat-node. `make help` lists the targets.

ifeq ($(origin CC),default)
CC := gcc
endif
CLANG   ?= clang-14
CFLAGS  ?= -g -O2
PREFIX  ?= /usr/local
DESTDIR ?=
VARIANT ?=
JOBS    ?= $(shell nproc)
B       := build$(if $(VARIANT),/$(VARIANT))

MAKEFLAGS += --no-builtin-rules
.DELETE_ON_ERROR:
.SECONDARY:
.DEFAULT_GOAL := all

# --- the Debian packages: the one list --------------------------------------------------------------------------------

# To build, test and show.
PACKAGES := gcc libc6-dev make pkg-config libnng-dev libmsgpack-dev libhiredis-dev libuv1-dev libmicrohttpd-dev \
	liblua5.1-0-dev libjansson-dev libcmocka-dev redis-server python3
# For `make check`, `make tsan`, `make fuzz` and `make model`.
PACKAGES_CHECK := clang-14 clang-tidy-14 clang-format-14 libclang-rt-14-dev llvm-14 spin

# --- flags ------------------------------------------------------------------------------------------------------------

WARNINGS := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wstrict-prototypes -Wmissing-prototypes \
	-Wvla -Wformat=2 -Wundef -Wcast-qual -Wwrite-strings -Wswitch-enum -Wimplicit-fallthrough -Wnull-dereference
BASE     := -std=c11 -D_POSIX_C_SOURCE=200809L -fno-common -fstack-protector-strong -I. -I$(B)
FORTIFY  ?= -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2
EXTRA    ?=

pkg_cflags = $(patsubst -I%,-isystem %,$(shell pkg-config --cflags $(1) 2>/dev/null))
LIB_CFLAGS := $(call pkg_cflags,libuv hiredis msgpack libmicrohttpd lua5.1 cmocka jansson)
UV_LIBS    := $(shell pkg-config --libs libuv 2>/dev/null || echo -luv)
LUA_LIBS   := $(shell pkg-config --libs lua5.1 2>/dev/null || echo -llua5.1)
LIBS       := -lnng -lhiredis -lmicrohttpd -lmsgpackc -ljansson $(UV_LIBS) $(LUA_LIBS) -lpthread -lm

COMPILE = $(CC) $(BASE) $(WARNINGS) $(FORTIFY) $(LIB_CFLAGS) $(CFLAGS) $(EXTRA) -MMD -MP
LINK    = $(CC) $(CFLAGS) $(EXTRA) -Wl,--as-needed

# --- the house: one archive a layer, inner ones last ------------------------------------------------------------------

MAINS := node/main.c bus/hub_main.c bus/cli_main.c
layer  = $(filter-out $(MAINS),$(wildcard $(1)/*.c))
objs   = $(patsubst %.c,$(B)/%.o,$(1))

CORE  := $(call objs,$(call layer,node/core))
CODEC := $(call objs,$(call layer,codec))
REDIS := $(call objs,$(call layer,redis)) $(B)/redis/lua_text.o
BUS   := $(call objs,$(call layer,bus))
NODE  := $(call objs,$(call layer,node))

AR_CORE  := $(B)/lib/core.a
AR_CODEC := $(B)/lib/codec.a
AR_REDIS := $(B)/lib/redis.a
AR_BUS   := $(B)/lib/bus.a
AR_NODE  := $(B)/lib/node.a

$(AR_CORE): $(CORE)
$(AR_CODEC): $(CODEC)
$(AR_REDIS): $(REDIS)
$(AR_BUS): $(BUS)
$(AR_NODE): $(NODE)
$(B)/lib/libmeerkat.a: $(BUS) $(CODEC) $(CORE)
$(B)/lib/%.a:
	@mkdir -p $(@D)
	@rm -f $@
	$(AR) rcs $@ $^

ALL_ARCHIVES := $(AR_NODE) $(AR_REDIS) $(AR_BUS) $(AR_CODEC) $(AR_CORE)

$(B)/%.o: %.c
	@mkdir -p $(@D)
	$(COMPILE) -c $< -o $@

# The Lua scripts as C strings, one array for all.
$(B)/redis/lua_text.c: $(sort $(wildcard redis/lua/*.lua)) tests/tools/embed.sh
	@mkdir -p $(@D)
	sh tests/tools/embed.sh $(sort $(wildcard redis/lua/*.lua)) > $@
$(B)/redis/lua_text.o: $(B)/redis/lua_text.c
	$(COMPILE) -c $< -o $@

all: $(B)/bin/meerkat-node $(B)/bin/meerkat-hub $(B)/bin/meerkat $(B)/lib/libmeerkat.a ## build everything

$(B)/bin/meerkat-node: $(B)/node/main.o $(ALL_ARCHIVES)
$(B)/bin/meerkat-hub: $(B)/bus/hub_main.o $(AR_BUS) $(AR_CODEC) $(AR_CORE)
$(B)/bin/meerkat: $(B)/bus/cli_main.o $(AR_BUS) $(AR_CODEC) $(AR_CORE)
$(B)/bin/%:
	@mkdir -p $(@D)
	$(LINK) $^ $(LIBS) -o $@

# --- test programs: the folder names what one may link ----------------------------------------------------------------

TEST_LIB := $(call objs,$(wildcard tests/lib/*.c))
unit_in   = $(patsubst %.c,$(B)/%,$(wildcard tests/unit/$(1)/test_*.c))
UNIT      := $(foreach d,core codec redis bus node,$(call unit_in,$(d)))

$(call unit_in,core): $(AR_CORE)
$(call unit_in,codec): $(AR_CODEC) $(AR_CORE)
$(call unit_in,redis): $(AR_REDIS) $(AR_CODEC) $(AR_CORE)
$(call unit_in,bus): $(AR_BUS) $(AR_CODEC) $(AR_CORE)
$(call unit_in,node): $(ALL_ARCHIVES)
$(B)/tests/unit/%: $(B)/tests/unit/%.o $(TEST_LIB)
	$(LINK) $(filter %.o,$^) $(filter %.a,$^) -lcmocka $(LIBS) -o $@

# One program an implementation; what is no program (the cases, a client) is shared by all.
CONFORMANCE      := $(patsubst %.c,$(B)/%,$(wildcard tests/conformance/test_*.c))
CONFORMANCE_SAME := $(call objs,$(filter-out tests/conformance/test_%,$(wildcard tests/conformance/*.c)))
$(B)/tests/conformance/%: $(B)/tests/conformance/%.o $(CONFORMANCE_SAME) $(TEST_LIB) $(ALL_ARCHIVES)
	$(LINK) $(filter %.o,$^) $(filter %.a,$^) -lcmocka $(LIBS) -o $@

SIM    := $(B)/tests/sim/sim
BENCH  := $(B)/tests/bench/bench
TRACES := $(B)/tests/traces/traces
$(SIM): $(call objs,$(wildcard tests/sim/*.c)) $(ALL_ARCHIVES)
$(BENCH): $(call objs,$(wildcard tests/bench/*.c)) $(ALL_ARCHIVES)
$(TRACES): $(call objs,$(wildcard tests/traces/*.c)) $(ALL_ARCHIVES)
$(SIM) $(BENCH) $(TRACES):
	$(LINK) $^ $(LIBS) -o $@

# --- running ----------------------------------------------------------------------------------------------------------

SEEDS        ?= 200
SEED         ?=
SEQUENCES    ?= 10000
SEQUENCE     ?=
FUZZ_SECONDS ?= 60
ROUNDS       ?=
SUITES       ?= semantics unit conformance traces sim integration
INTEGRATION   = MEERKAT_BIN=$(B)/bin MEERKAT_BENCH=$(BENCH) python3 tests/integration
AGAIN         = $(MAKE) --no-print-directory -j$(JOBS)

demo: deps ## the main job, to look at: a thousand inputs, two nodes, one killed for good halfway, nothing lost
	@$(AGAIN) all
	@$(INTEGRATION)/demo.py

test: deps ## every test: rules and their tests, unit, conformance, traces, 200 simulated seeds and 10,000 sequences, integration
	@$(AGAIN) suites

# The programs first, so that a suite's time is its own. The last line adds up.
suites: all $(UNIT) $(CONFORMANCE) $(TRACES) $(SIM)
	@MAKE="$(MAKE) --no-print-directory" sh tests/tools/suites.sh $(SUITES)

unit: $(UNIT) ## the unit tests
	@sh tests/tools/run_cmocka.sh $(UNIT)

conformance: $(CONFORMANCE) ## one suite for each port, on its real and its simulated implementation
	@sh tests/tools/run_cmocka.sh $(CONFORMANCE)

sim: $(SIM) ## the deterministic simulator: SEEDS=count, SEQUENCES=count; or SEED=one, SEQUENCE=one
	@$(SIM) $(if $(SEED),--seed $(SEED),$(if $(SEQUENCE),--sequence $(SEQUENCE),--seeds $(SEEDS) --sequences $(SEQUENCES)))

FILES ?= $(sort $(wildcard tests/traces/*.jsonl.gz))
traces: $(TRACES) ## what the source system did, played on the core; FILES=others of the form, - is standard input
	@$(TRACES) $(FILES)

integration: all ## real processes: Redis, hub, node, clients; WORDS=names
	@$(INTEGRATION)/run.py $(WORDS)

semantics: ## whether docs/semantics.md names a test for every rule, and every test is there; PAGES=other files
	@python3 tests/tools/semantics.py $(PAGES)

mutants: ## builds deliberate defects one by one; the tests must catch each
	@python3 tests/tools/mutants.py $(MUTANTS)

model: ## Spin searches models of lease, fence, commit and take-over: every property holds, and fails on a mutant; NAMES=some
	@CC=$(CC) python3 tests/model/run.py $(NAMES)

bench: all $(BENCH) ## durable inputs a second, beside a bare Redis doing the same writes; ROUNDS=n
	@MEERKAT_BIN=$(B)/bin MEERKAT_BENCH=$(BENCH) python3 tests/bench/run.py $(ROUNDS)

takeover: all ## how long after kill -9 of the owner of 10,000 sessions the first and the last waiting work is done; ROUNDS=n
	@MEERKAT_BIN=$(B)/bin python3 tests/bench/takeover.py $(ROUNDS)

resume: all $(BENCH) ## whether a session with 100,000 past inputs resumes as fast, and as small, as one with 100; ROUNDS=n
	@MEERKAT_BIN=$(B)/bin MEERKAT_BENCH=$(BENCH) python3 tests/bench/resume.py $(ROUNDS)

rolling: all ## three nodes replaced one by one under a steady load: the receipts, and how long sessions waited
	@$(INTEGRATION)/rolling.py

compose-test: ## the compose file on a real Docker engine: containers killed, cut off, replaced; no part of test; WORDS=names
	@python3 tests/compose/run.py $(WORDS)

# --- sanitizers and fuzzing: variants of their own --------------------------------------------------------------------

ASAN := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
asan: ## the tests under AddressSanitizer and UBSan
	@ASAN_OPTIONS=handle_segv=2:detect_stack_use_after_return=1 UBSAN_OPTIONS=print_stacktrace=1 \
	LSAN_OPTIONS=suppressions=$(CURDIR)/tests/tools/lsan.supp \
	$(AGAIN) VARIANT=asan CFLAGS="-g -O1 $(ASAN)" FORTIFY= suites

tsan: ## the tests under ThreadSanitizer
	@TSAN_OPTIONS=suppressions=$(CURDIR)/tests/tools/tsan.supp \
	$(AGAIN) VARIANT=tsan CC=$(CLANG) CFLAGS="-g -O1 -fsanitize=thread" FORTIFY= suites

FUZZERS := $(patsubst %.c,$(B)/%,$(wildcard tests/fuzz/fuzz_*.c))
$(B)/tests/fuzz/%: $(B)/tests/fuzz/%.o $(AR_CODEC) $(AR_CORE)
	$(LINK) -fsanitize=fuzzer $^ -lmsgpackc -o $@

fuzz: ## every fuzzer for FUZZ_SECONDS each; what it finds is kept in build/fuzz
	@$(AGAIN) VARIANT=fuzz CC=$(CLANG) CFLAGS="-g -O1 $(ASAN) -fsanitize=fuzzer-no-link" FORTIFY= fuzzers

fuzzers: $(FUZZERS)
	@sh tests/tools/fuzz.sh $(FUZZ_SECONDS) $(FUZZERS)

# --- the look of the tree ---------------------------------------------------------------------------------------------

SOURCES := $(wildcard node/core/*.[ch] node/*.[ch] codec/*.[ch] bus/*.[ch] redis/*.[ch] tests/lib/*.[ch] tests/unit/*/*.[ch] \
	tests/conformance/*.[ch] tests/sim/*.[ch] tests/traces/*.[ch] tests/fuzz/*.[ch] tests/bench/*.[ch])

check: format tidy layers purity docs-check ## format to docs-check below, and the tests by gcc and clang without a warning, and under sanitizers
	@$(AGAIN) VARIANT=check-gcc CC=gcc EXTRA=-Werror suites
	@$(AGAIN) VARIANT=check-clang CC=$(CLANG) EXTRA=-Werror suites
	@$(AGAIN) asan
	@$(AGAIN) tsan

format: ## whether every file is as .clang-format wants it
	clang-format-14 --dry-run -Werror $(SOURCES)

tidy: ## clang-tidy over the house
	@printf '%s\n' $(filter-out tests/%,$(filter %.c,$(SOURCES))) | xargs -P $(JOBS) -n 4 \
	sh -c 'clang-tidy-14 --quiet --warnings-as-errors="*" "$$@" -- $(BASE) $(LIB_CFLAGS) 2>/dev/null' sh

layers: ## whether includes point inward and no library leaves its folder
	@sh tests/tools/layers.sh

purity: $(CORE) ## whether the core calls nothing but memory and text functions
	@sh tests/tools/purity.sh $(CORE)

docs: $(B)/bin/meerkat-node ## makes the machine's table in docs/machine.md and its diagram (Graphviz) from the program
	@python3 tests/tools/machine_docs.py $<

docs-check: $(B)/bin/meerkat-node ## whether the machine's table and diagram agree with the program
	@python3 tests/tools/machine_docs.py $< --check

# --- the rest ---------------------------------------------------------------------------------------------------------

deps: ## installs the Debian packages that are missing, or says how
	@sh tests/tools/deps.sh $(PACKAGES)

deps-check: ## the same for check, tsan, fuzz and model
	@sh tests/tools/deps.sh $(PACKAGES) $(PACKAGES_CHECK)

install: all ## programs, library and header under DESTDIR and PREFIX
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/lib $(DESTDIR)$(PREFIX)/include/meerkat
	install -m 755 $(B)/bin/meerkat-node $(B)/bin/meerkat-hub $(B)/bin/meerkat $(DESTDIR)$(PREFIX)/bin
	install -m 644 $(B)/lib/libmeerkat.a $(DESTDIR)$(PREFIX)/lib
	install -m 644 bus/meerkat.h $(DESTDIR)$(PREFIX)/include/meerkat

clean: ## remove everything that was built
	rm -rf build

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' Makefile | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 14

.PHONY: all demo test suites unit conformance sim traces semantics integration mutants model bench takeover resume rolling \
	compose-test asan tsan fuzz fuzzers check format tidy layers purity docs docs-check deps deps-check install clean help

-include $(shell find $(addprefix $(B)/,node bus codec redis tests) -name '*.d' 2>/dev/null)
