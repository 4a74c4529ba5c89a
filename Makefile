# ohguard: `make demo` and `make check` do all the set-up on a fresh Debian or Ubuntu machine, as root.
# V=1 shows the commands.

BUILD     := build
DESTDIR   ?=
PREFIX    ?= /usr
PYTHON    ?= /usr/bin/python3
PKGCONFIG ?= pkg-config
# The newest clang there is, of those that are tested.
CLANG     ?= $(firstword $(shell command -v clang clang-19 clang-18 clang-17 clang-16 clang-15 clang-14) clang)
STRIP     ?= strip
LLVM_STRIP ?= $(firstword $(shell command -v llvm-strip llvm-strip-19 llvm-strip-18 llvm-strip-17 llvm-strip-16 llvm-strip-15 llvm-strip-14) llvm-strip)

ifneq ($(V),1)
Q  := @
say = @echo "  $(1)	$(2)";
endif

CFLAGS    ?= -O2 -g
WARNINGS  := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wwrite-strings
CPPFLAGS  += -D_GNU_SOURCE -Iinclude -iquote user
# c-ares deprecates from 1.28 on the calls that all its versions have in common.
ALL_CFLAGS := -std=gnu11 $(WARNINGS) -Wno-deprecated-declarations $(CFLAGS)
LIBS      := -lbpf -lelf -lz -lcares -linih -lidn2 -lunistring -lpopt -ljansson
# libelf reads compressed sections with zstd where it was built so (Debian 13, Ubuntu 24.04).
LIBS      += $(shell $(PKGCONFIG) --static --libs libelf 2>/dev/null | tr ' ' '\n' | grep -x -e -lzstd)

# Version 2 takes the verifiers of all kernels the fewest steps: see docs/kernels.md.
BPF_CFLAGS := -target bpf -mcpu=v2 -O2 -g -Wall -Wextra -Wno-unused-function -Iinclude -Ivmlinux -Ibpf

USER_SRC  := $(filter-out user/aws_%.c user/cmd_aws.c user/proc.c,$(wildcard user/*.c))
USER_OBJ  := $(USER_SRC:%.c=$(BUILD)/%.o) $(BUILD)/user/object.o
# What tests link: everything but main().
LIB_OBJ   := $(filter-out $(BUILD)/user/main.o,$(USER_OBJ))

UNIT_SRC  := $(wildcard tests/unit/test_*.c)
UNIT_BIN  := $(UNIT_SRC:%.c=$(BUILD)/%)
BPFT_SRC  := $(wildcard tests/bpf/test_*.c)
BPFT_BIN  := $(BPFT_SRC:%.c=$(BUILD)/%)

.PHONY: all check check-unit check-bpf check-e2e check-aws check-vm vm-one bench demo lint fuzz deps install deb clean vmlinux
.DELETE_ON_ERROR:
# test binaries' objects are wanted for the next build
.SECONDARY:

all: $(BUILD)/ohguard

$(BUILD)/ohguard: $(USER_OBJ)
	$(call say,LINK,$@)
	$(Q)$(CC) -static -Wl,--gc-sections $(LDFLAGS) -o $@.debug $^ $(LIBS) 2>$@.log || { cat $@.log >&2; exit 1; }
	$(Q)$(STRIP) -o $@ $@.debug

$(BUILD)/user/%.o: user/%.c
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(ALL_CFLAGS) -ffunction-sections -MMD -MP -c -o $@ $<

$(BUILD)/user/object.o: user/object.S $(BUILD)/ohguard.bpf.o
	$(call say,AS,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) -DOHGUARD_OBJECT='"$(BUILD)/ohguard.bpf.o"' -c -o $@ $<

$(BUILD)/ohguard.bpf.o: bpf/ohguard.bpf.c
	$(call say,BPF,$<)
	@mkdir -p $(@D)
	$(Q)$(CLANG) $(BPF_CFLAGS) -MMD -MP -MF $(BUILD)/ohguard.bpf.d -MT $@ -c -o $@ $<
	$(Q)$(LLVM_STRIP) -g $@	# the line tables; BTF stays

$(BUILD)/tests/%: tests/%.c $(LIB_OBJ)
	$(call say,TEST,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(ALL_CFLAGS) -MMD -MP -o $@ $< $(LIB_OBJ) -static $(LIBS) -lcmocka 2>$@.log || \
		{ cat $@.log >&2; exit 1; }

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)

clean:
	$(Q)rm -rf $(BUILD)
