# SPDX-License-Identifier: MIT
# ohguard: `make demo` and `make check` do all the set-up on a fresh Debian or Ubuntu machine, as root.
# V=1 shows the commands. `make help` lists the targets: those with a line of "##" behind them.

BUILD     := build$(ARCH:%=/%)$(INSTRUMENT:%=/%)
DESTDIR   ?=
PREFIX    ?= /usr
PYTHON    ?= /usr/bin/python3
PKG_CONFIG ?= pkg-config
# The newest clang there is, of those that are tested.
CLANG     ?= $(firstword $(shell command -v clang clang-19 clang-18 clang-17 clang-16 clang-15 clang-14) clang)
LLVM_STRIP ?= $(firstword $(shell command -v llvm-strip llvm-strip-19 llvm-strip-18 llvm-strip-17 llvm-strip-16 \
	llvm-strip-15 llvm-strip-14) llvm-strip)

# For another machine: `make deps-arm64`, and `make ARCH=arm64` into build/arm64. Debian's cross builds give CC and
# PKG_CONFIG instead.
ifeq ($(ARCH),arm64)
SYSROOT ?= $(CURDIR)/build/arm64/root
override CC := aarch64-linux-gnu-gcc --sysroot=$(SYSROOT)
override PKG_CONFIG := env PKG_CONFIG_LIBDIR=$(SYSROOT)/usr/lib/aarch64-linux-gnu/pkgconfig pkg-config
else ifneq ($(ARCH),)
$(error ARCH=$(ARCH): there is arm64, and without ARCH what CC builds for)
endif
# With what finds faults, in a folder of its own: `make check-asan`. Sanitizers cannot be linked statically.
ifeq ($(INSTRUMENT),asan)
CFLAGS  := -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=undefined
LINKED  := -fsanitize=address,undefined -DREPORTS='"$(CURDIR)/$(BUILD)/reports"' tests/asan/options.c
STRIP   := strip -R .comment	# and nothing else: a report names functions
else ifneq ($(INSTRUMENT),)
$(error INSTRUMENT=$(INSTRUMENT): there is asan)
endif
STRIP   ?= $(or $(shell $(CC) -print-prog-name=strip 2>/dev/null),strip)
OBJCOPY ?= $(or $(shell $(CC) -print-prog-name=objcopy 2>/dev/null),objcopy)

ifneq ($(V),1)
Q  := @
say = @echo "  $(1)	$(2)";
endif

CFLAGS    ?= -Os -g
# The same bits in whatever folder it is built.
SAME_PATHS := -ffile-prefix-map=$(CURDIR)=.
WARNINGS  := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wwrite-strings
# Rooms are named in each include: "engine/load.h". A parser of bpf/parse/ compiles for the host too.
CPPFLAGS  += -D_GNU_SOURCE -Iinclude -iquote user -iquote bpf -iquote tests $(DEFINES)
# c-ares deprecates from 1.28 on the calls that all its versions have in common.
ALL_CFLAGS := -std=gnu11 -fno-asynchronous-unwind-tables $(WARNINGS) -Wno-deprecated-declarations $(CFLAGS) \
	$(SAME_PATHS)
# What is wrapped: user/engine/old_libbpf.c.
LIBS      := -Wl,--wrap=btf__load_vmlinux_btf -lbpf -lelf -lz -lcares -linih -lpopt -ljansson
# libelf reads compressed sections with zstd where it was built so (Debian 13, Ubuntu 24.04).
LIBS      += $(shell $(PKG_CONFIG) --static --libs libelf 2>/dev/null | tr ' ' '\n' | grep -x -e -lzstd)

# Tests have these within too, and the system's libc.
LIBS_WITHIN = -Wl,-Bstatic $(LIBS) -Wl,-Bdynamic

# Version 3 costs the verifiers from 6.12 on half as much again: see docs/kernels.md.
BPF_CFLAGS := -target bpf -mcpu=v2 -O2 -g -Wall -Wextra -Wno-unused-function -Wno-unused-parameter \
	-Iinclude -Ivmlinux -Ibpf $(DEFINES) $(SAME_PATHS)

USER_SRC  := $(wildcard user/*/*.c)
USER_ASM  := $(wildcard user/*/*.S)
USER_OBJ  := $(USER_SRC:%.c=$(BUILD)/%.o) $(USER_ASM:%.S=$(BUILD)/%.o)
# What tests link: everything but main().
LIB_OBJ   := $(filter-out $(BUILD)/user/commands/main.o,$(USER_OBJ))

UNIT_SRC  := $(wildcard tests/unit/*/test_*.c)
UNIT_BIN  := $(UNIT_SRC:%.c=$(BUILD)/%)
BPFT_SRC  := $(wildcard tests/bpf/test_*.c)
BPFT_BIN  := $(BPFT_SRC:%.c=$(BUILD)/%)

.PHONY: all help compilers tests newest deps demo analyse check check-unit check-bpf check-second check-lint \
	check-e2e check-asan check-escapes check-faults soak check-docker check-agents check-aws check-packages \
	check-arm64 check-vm unit packets second bench bench-compare fuzz prove mutants lint docs help-texts dist \
	static deb release install upgrade uninstall clean
.DELETE_ON_ERROR:

UNITS := ohguard.service $(patsubst %,ohguard-%.service,gate refresh uplink events metrics lock)
TIMERS := ohguard-refresh.timer ohguard-metrics.timer

all: $(BUILD)/ohguard $(UNITS:%=$(BUILD)/systemd/%) $(BUILD)/systemd/90-ohguard.rules	## the program and its units

help:	## these lines
	@sed -n 's/^\([a-z0-9-]*\):.*[[:space:]]## /\1\t/p' $(firstword $(MAKEFILE_LIST)) | expand -t 16

# What all rules that compile ask first.
TOOLS   := $(patsubst cc,gcc,$(firstword $(CC))) $(CLANG) $(LLVM_STRIP) $(lastword $(PKG_CONFIG))
MISSING  = $(strip $(foreach tool,$(TOOLS),$(if $(shell command -v $(tool)),,$(tool))))
comma   := ,
compilers:
	@$(if $(MISSING),echo "missing: $(subst $() ,$(comma) ,$(MISSING)): run make deps" >&2; exit 1,:)

# Unwind tables are for exceptions and debuggers: without those of the libraries the binary is 130 kB smaller.
SLIM := $(patsubst -l%,$(BUILD)/lib/lib%.a,$(filter -l%,$(LIBS)) -lc)
$(BUILD)/lib/lib%.a: | compilers
	@mkdir -p $(@D)
	$(Q)$(OBJCOPY) -R .eh_frame -R .comment $$($(CC) -print-file-name=$(@F)) $@

LINKED ?= -static -L$(BUILD)/lib
$(BUILD)/ohguard: $(USER_OBJ) | $(SLIM)
	$(call say,LINK,$@)
	$(Q)$(CC) $(LINKED) -Wl,--gc-sections -Wl,-z,noseparate-code $(LDFLAGS) -o $@.debug $^ $(LIBS) \
		2>$@.log || { cat $@.log >&2; exit 1; }
	$(Q)$(STRIP) -o $@ $@.debug

$(BUILD)/user/%.o: user/%.c | compilers
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(ALL_CFLAGS) -ffunction-sections -fdata-sections -MMD -MP -c -o $@ $<

# What --version tells; made anew when the commit is another.
COMMIT := $(shell scripts/commit)
CLANG_VERSION = $(shell $(CLANG) -dumpversion)
$(BUILD)/commit: $(if $(filter $(COMMIT),$(file <$(BUILD)/commit)),,again)
	@mkdir -p $(@D)
	@echo $(COMMIT) >$@
.PHONY: again
again:
$(BUILD)/user/base/version.o: $(BUILD)/commit
$(BUILD)/user/base/version.o: CPPFLAGS += -DOHGUARD_COMMIT='"$(COMMIT)"' -DOHGUARD_CLANG='"$(CLANG_VERSION)"'

# Compressed: it is a fourth of its size then, and unpacked in a millisecond.
.SECONDARY: $(BUILD)/ohguard.bpf.o $(BUILD)/lock.bpf.o
$(BUILD)/%.bpf.o.gz: $(BUILD)/%.bpf.o
	$(Q)gzip -9 -n -c $< >$@
$(BUILD)/%.dat.gz: user/policy/%.dat
	@mkdir -p $(@D)
	$(Q)gzip -9 -n -c $< >$@

$(BUILD)/user/engine/objects.o: $(BUILD)/ohguard.bpf.o.gz $(BUILD)/lock.bpf.o.gz
$(BUILD)/user/policy/suffixes.o: $(BUILD)/suffixes.dat.gz
$(BUILD)/user/%.o: user/%.S | compilers
	$(call say,AS,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) -Wa,-I$(BUILD) -c -o $@ $<

# embeds them
$(BUILD)/user/aws/template.o: $(wildcard user/aws/files/*) $(wildcard systemd/*)

$(BUILD)/%.bpf.o: bpf/%.bpf.c | compilers
	$(call say,BPF,$<)
	@mkdir -p $(@D)
	$(Q)$(CLANG) $(BPF_CFLAGS) -MMD -MP -MF $(BUILD)/$*.bpf.d -MT $@ -c -o $@ $<
	$(Q)$(LLVM_STRIP) -g $@	# the line tables; BTF stays

# A function that is not used is a test that no table names.
$(BUILD)/tests/%: tests/%.c $(LIB_OBJ)
	$(call say,TEST,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(ALL_CFLAGS) -Werror=unused-function -MMD -MP -o $@ $< $(LIB_OBJ) \
		$(LIBS_WITHIN) -lcmocka

# ---- set-up, demo, tests ----

deps:	## install what the build needs (root)
	$(Q)scripts/deps build
deps-%:
	$(Q)scripts/deps $*

# A fresh machine has no compiler yet: the set-up runs in a make of its own before the build.
demo:	## the main job on real packets, after all the set-up
	$(Q)scripts/deps build demo
	$(Q)$(MAKE) all
	$(Q)scripts/demo

check:	## every test, after all the set-up; STRICT=1 fails on a test that passes the second time only
	$(Q)scripts/deps build check second lint prove docker agents vm aws deb
	$(Q)scripts/check all

check-unit: $(UNIT_BIN)	## the program's parts
	$(Q)scripts/check unit
check-bpf: $(BPFT_BIN)	## packets by the kernel, BPF_PROG_TEST_RUN
	$(Q)scripts/check bpf
check-second: all	## conversations by the kernel and by a reference in Go, for ten seconds
	$(Q)scripts/deps build second
	$(Q)scripts/check second
check-lint:	## static checks and house rules, and the tests of these
	$(Q)scripts/deps build check lint
	$(Q)scripts/check lint
check-e2e: all	## commands and traffic in a lab of network namespaces
	$(Q)scripts/check e2e
check-asan:	## unit tests and e2e under AddressSanitizer and UndefinedBehaviorSanitizer
	$(Q)scripts/deps build check
	$(Q)INSTRUMENT=asan scripts/check unit e2e
analyse:	## gcc -fanalyzer and clang-tidy on user/
	$(Q)scripts/deps build analyse
	$(Q)scripts/check analyse
check-faults: all	## each system call fails once
	$(Q)OHGUARD_FAULTS=$${OHGUARD_FAULTS:-all} scripts/check faults
soak: all	## half an hour of traffic and reloads
	$(Q)OHGUARD_SOAK=$${OHGUARD_SOAK:-1800} scripts/check soak
check-escapes: all	## every attack of docs/escapes.md
	$(Q)scripts/check escapes
check-docker:	## the same from Docker's containers, and what these need
	$(Q)scripts/deps build docker
	$(Q)$(MAKE) all
	$(Q)OHGUARD_DOCKER=all scripts/check docker
check-agents:	## real agents beside the guard, to their answer, and what these need
	$(Q)scripts/deps build docker agents
	$(Q)$(MAKE) all
	$(Q)OHGUARD_AGENTS=all scripts/check agents
check-aws: all	## `ohguard aws` against a played AWS
	$(Q)scripts/check aws
check-packages:	## Debian's package in minimal roots, and what these need
	$(Q)scripts/deps build check vm deb
	$(Q)OHGUARD_SUITES="$${OHGUARD_SUITES:-bookworm trixie}" scripts/check packages
check-arm64:	## the program for arm64, cross-built, by QEMU's user emulation, and whole machines of arm64
	$(Q)scripts/deps build check vm deb arm64
	$(Q)scripts/check arm64
check-vm:	## whole machines with the kernels 5.10, 6.1, 6.12 and sid's
	$(Q)scripts/deps build check vm aws
	$(Q)$(MAKE) all tests
	$(Q)OHGUARD_VM_FACTS=$(BUILD)/vm-facts.json OHGUARD_KERNELS="$${OHGUARD_KERNELS:-5.10 6.1 6.12 sid}" \
		scripts/check vm

VM_TOOLS := $(BUILD)/tests/vm/poke $(BUILD)/tests/vm/facts $(BUILD)/tests/vm/foreign

unit: $(UNIT_BIN)
packets: $(BPFT_BIN)
tests: unit packets $(VM_TOOLS) newest	## build the tests that are in C

# The same by another clang that is tested: build/clang-N. The newest is for the kernels that a virtual machine runs.
CLANGS := $(notdir $(shell command -v clang-19 clang-18 clang-17 clang-16 clang-15 clang-14))
clang-%:
	$(Q)$(MAKE) --no-print-directory BUILD=$(BUILD)/$@ CLANG=$@ $(BUILD)/$@/ohguard
newest: $(firstword $(CLANGS) all)
	$(Q)ln -sfn $(patsubst all,.,$<) $(BUILD)/newest

# The reference that plays against the programs (tests/second), and programs with counters, which guide it.
SECOND := $(BUILD)/second
KERNEL = $(CC) $(CPPFLAGS) $(ALL_CFLAGS) -MMD -MP -o $@ $(filter-out $(1),$^) $(LIBS_WITHIN) -lcmocka
$(SECOND)/counted/ohguard.bpf.o: bpf/ohguard.bpf.c scripts/bpf-counted | compilers
	$(call say,BPF,$@)
	@mkdir -p $(@D)
	$(Q)scripts/bpf-counted 'bpf/parse/*' $@ $(CLANG) $(BPF_CFLAGS) -MMD -MP -MF $(@:.o=.d) -MT $@ $<
	$(Q)$(LLVM_STRIP) -g $@
$(SECOND)/counted/lock.bpf.o.gz: $(BUILD)/lock.bpf.o.gz
	@mkdir -p $(@D)
	$(Q)cp $< $@
$(SECOND)/counted/objects.o: user/engine/objects.S $(SECOND)/counted/ohguard.bpf.o.gz $(SECOND)/counted/lock.bpf.o.gz
	$(Q)$(CC) -Wa,-I$(@D) -c -o $@ $<
$(SECOND)/counted/kernel: tests/second/kernel.c $(SECOND)/counted/objects.o $(LIB_OBJ)
	$(call say,TEST,$@)
	$(Q)$(call KERNEL,%/user/engine/objects.o)
$(SECOND)/kernel: tests/second/kernel.c $(LIB_OBJ)
	$(call say,TEST,$@)
	@mkdir -p $(@D)
	$(Q)$(call KERNEL,)
$(SECOND)/reference: $(wildcard tests/second/reference/*)
	$(call say,GO,$@)
	@mkdir -p $(@D)
	$(Q)cd tests/second/reference && GOTOOLCHAIN=local GOFLAGS=-buildvcs=false go build -o $(abspath $@) .
second: $(SECOND)/kernel $(SECOND)/reference

# For guests without a libc.
$(VM_TOOLS): $(BUILD)/%: %.c
	$(call say,TEST,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) -static $(WARNINGS) -Os -s -no-pie -o $@ $< $(VM_LIBS)
$(BUILD)/tests/vm/foreign: VM_LIBS := -lbpf -lelf -lz

bench:	## measure verdicts, names and throughput
	$(Q)scripts/deps build bench
	$(Q)$(MAKE) all $(BENCH_BIN)
	$(Q)$(PYTHON) tests/bench/bench.py --build $(BUILD) --page

# The other build is in build/compare, made by its own Makefile.
bench-compare: all	## this build beside another, by turns; REV=main
	$(Q)scripts/deps build bench
	$(Q)$(MAKE) $(BENCH_BIN)
	$(Q)scripts/other-build $(or $(REV),main) $(BUILD)/compare
	$(Q)$(PYTHON) tests/bench/compare.py $(BUILD)/compare/build --build $(BUILD)

# Under three minutes on two processors.
prove:	## what CBMC proves of the decision
	$(Q)scripts/deps prove
	$(Q)scripts/check prove

mutants:	## one fault after another, and which no test notices; half an hour
	$(Q)scripts/deps build check prove
	$(Q)$(MAKE) all tests
	$(Q)tests/mutants/run --rest --e2e

fuzz:	## libFuzzer on each parser, and conversations against the reference; RUNS=10000000 PACKETS=50000000
	$(Q)scripts/deps build fuzz second
	$(Q)$(MAKE) -s -C tests/fuzz RUNS=$${RUNS:-10000000}
	$(Q)$(MAKE) second $(SECOND)/counted/kernel
	$(Q)tests/second/run $(SECOND) $${PACKETS:-50000000}

lint:	## static checks and house rules alone
	$(Q)scripts/deps build lint
	$(Q)scripts/lint

# ---- what a release carries ----

# What is cross-built beside this machine's own.
OTHER_ARCH := $(filter-out $(shell dpkg --print-architecture 2>/dev/null),arm64)

dist:	## the source in one archive, of what is committed
	$(Q)scripts/release dist
static: all	## the program alone, its checksum, and what is linked into it
	$(Q)ARCH=$(ARCH) scripts/release static
deb:	## Debian's package, and what building it needs; also with ARCH=arm64
	$(Q)scripts/deps build deb $(ARCH)
	$(Q)ARCH=$(ARCH) scripts/release deb
release:	## all of these for this machine and for arm64, and a signature; KEY=who
	$(Q)scripts/deps build deb $(OTHER_ARCH)
	$(Q)$(MAKE) all
	$(Q)$(if $(OTHER_ARCH),$(MAKE) ARCH=$(OTHER_ARCH) all)
	$(Q)OTHER_ARCH=$(OTHER_ARCH) scripts/release all $(KEY)

# ---- installation ----

SBINDIR  = $(PREFIX)/sbin
UNITDIR  = $(PREFIX)/lib/systemd/system
RULESDIR = $(PREFIX)/lib/udev/rules.d
MANDIR   = $(PREFIX)/share/man
DOCDIR   = $(PREFIX)/share/doc/ohguard
# Where each shell looks, in Debian and Ubuntu.
BASHDIR  = $(PREFIX)/share/bash-completion/completions
ZSHDIR   = $(PREFIX)/share/zsh/vendor-completions
FISHDIR  = $(PREFIX)/share/fish/vendor_completions.d

SET_PATHS = sed 's|@SBINDIR@|$(SBINDIR)|g'

$(BUILD)/systemd/%: systemd/%.in
	@mkdir -p $(@D)
	$(Q)$(SET_PATHS) $< >$@

# The table of reasons comes from the list that makes the enum.
$(BUILD)/docs/ohguard.8: docs/ohguard.8.in include/ohguard/reasons.h scripts/reasons-table
	@mkdir -p $(@D)
	$(Q)scripts/reasons-table include/ohguard/reasons.h $< >$@

# In the tree, since it is read there; a test says when it is old.
docs/escapes.md: scripts/escapes-table $(wildcard tests/escapes/*.py)
	$(call say,DOC,$@)
	$(Q)$(PYTHON) scripts/escapes-table >$@

# From the last run of check-vm, where there was one.
docs/kernels.md: $(wildcard $(BUILD)/vm-facts.json)
	$(call say,DOC,$@)
	$(Q)scripts/kernel-table $< $@

# What each --help prints, which a test compares.
help-texts: all	## tests/e2e/help, after an option has changed
	$(Q)for c in $$($(BUILD)/ohguard --help | sed -n 's/^  \([a-z]*\) .*/\1/p'); do \
	    $(BUILD)/ohguard $$c --help >tests/e2e/help/$$c; done
	$(Q)for c in $$($(BUILD)/ohguard aws --help | sed -n 's/^  \([a-z-]*\) .*/\1/p'); do \
	    $(BUILD)/ohguard aws $$c --help >tests/e2e/help/aws-$$c; done

docs: $(BUILD)/docs/ohguard.8 docs/escapes.md	## what is made of tables in the sources

install: all $(BUILD)/docs/ohguard.8	## into DESTDIR and PREFIX
	install -D -m 755 $(BUILD)/ohguard $(DESTDIR)$(SBINDIR)/ohguard
	install -d -m 755 $(DESTDIR)/etc/ohguard
	test -e $(DESTDIR)/etc/ohguard/ohguard.conf || \
		install -m 644 docs/ohguard.conf $(DESTDIR)/etc/ohguard/ohguard.conf
	# not those in $(BUILD), which may have been made with another PREFIX
	for unit in $(UNITS); do \
		$(SET_PATHS) systemd/$$unit.in | install -D -m 644 /dev/stdin $(DESTDIR)$(UNITDIR)/$$unit || exit 1; \
	done
	install -D -m 644 -t $(DESTDIR)$(UNITDIR) $(TIMERS:%=systemd/%)
	$(SET_PATHS) systemd/90-ohguard.rules.in | install -D -m 644 /dev/stdin $(DESTDIR)$(RULESDIR)/90-ohguard.rules
	install -D -m 644 $(BUILD)/docs/ohguard.8 $(DESTDIR)$(MANDIR)/man8/ohguard.8
	$(SET_PATHS) systemd/ohguard.apparmor.in | install -D -m 644 /dev/stdin $(DESTDIR)/etc/apparmor.d/ohguard
	install -D -m 644 docs/ohguard.conf.5 $(DESTDIR)$(MANDIR)/man5/ohguard.conf.5
	install -D -m 644 README.md $(DESTDIR)$(DOCDIR)/README.md
	install -D -m 644 completions/ohguard.bash $(DESTDIR)$(BASHDIR)/ohguard
	install -D -m 644 -t $(DESTDIR)$(ZSHDIR) completions/_ohguard
	install -D -m 644 -t $(DESTDIR)$(FISHDIR) completions/ohguard.fish

upgrade: install	## install, and put the new programs in force with no moment open
	if [ -d /run/systemd/system ]; then systemctl daemon-reload; fi
	for pins in /sys/fs/bpf/ohguard/*/egress; do \
		[ ! -e "$$pins" ] || $(SBINDIR)/ohguard load --name $$(basename $$(dirname $$pins)) || exit 1; \
	done
	if [ -d /run/systemd/system ]; then \
		systemctl try-restart ohguard-events.service ohguard-uplink.service ohguard-refresh.timer; fi

# Without DESTDIR it is this machine that they go from.
uninstall:	## and out of them; UNLOAD=1 also unloads the guard
	$(if $(DESTDIR),,scripts/leave $(SBINDIR)/ohguard $(UNLOAD))
	rm -f $(DESTDIR)$(SBINDIR)/ohguard $(UNITS:%=$(DESTDIR)$(UNITDIR)/%) \
		$(TIMERS:%=$(DESTDIR)$(UNITDIR)/%) $(DESTDIR)$(RULESDIR)/90-ohguard.rules \
		$(DESTDIR)$(MANDIR)/man8/ohguard.8 $(DESTDIR)$(MANDIR)/man5/ohguard.conf.5 \
		$(DESTDIR)$(DOCDIR)/README.md $(DESTDIR)/etc/apparmor.d/ohguard \
		$(DESTDIR)$(BASHDIR)/ohguard $(DESTDIR)$(ZSHDIR)/_ohguard $(DESTDIR)$(FISHDIR)/ohguard.fish
	if [ -d $(DESTDIR)$(DOCDIR) ]; then rmdir $(DESTDIR)$(DOCDIR); fi

BENCH_BIN := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/bench/*.c))
$(BUILD)/tests/bench/%: tests/bench/%.c $(LIB_OBJ)
	$(call say,BENCH,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(ALL_CFLAGS) -MMD -MP -o $@ $< $(LIB_OBJ) $(LIBS_WITHIN)

-include $(shell find $(BUILD) -name '*.d' -type f 2>/dev/null)

clean:	## remove build/
	$(Q)rm -rf $(BUILD)
