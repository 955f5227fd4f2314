# nas-tools: GNU make, one file.  `make help` lists the targets; the knobs come first and all can be given as NAME=value.
#
# Objects live in bin/.obj/<hash of compiler and flags>/, so that builds with different knobs never mix; bin/ holds links
# to the programs of the latest plain build.  A sanitizer build (SAN=...) leaves bin/ alone: its programs are in the
# object folder's own bin/, which tests find through NAS_BIN.

# ---- knobs ----
CC      = gcc
OPT     = -O2 -g
CFLAGS  =
LDFLAGS =
# comma-separated list for -fsanitize=, e.g. address,undefined or thread
SAN     =
# 1: warnings are errors
WERROR  = 0
# auto: look for nvcc; 0: without; 1: nvcc must be there
CUDA    = auto
# where `make install` puts things
PREFIX  = /usr/local
DESTDIR =
# libFuzzer's time for each fuzz target of `make fuzz`
FUZZ_SECONDS = 10

# ---- probes: each can be overridden by hand ----
PKG_CONFIG   ?= pkg-config
PROTOC_C     ?= protoc-c
CLANG_FORMAT ?= clang-format
# the schema of ONNX models, of Debian's libonnx-dev
ONNX_PROTO   ?= /usr/include/onnx/onnx.proto
NVCC         ?= $(shell command -v nvcc 2>/dev/null || ls /usr/local/cuda/bin/nvcc 2>/dev/null)
MACHINE      := $(shell $(CC) -dumpmachine 2>/dev/null)
LIB_PACKAGES := liblz4 libprotobuf-c zlib netcdf hdf5-serial libpng libjpeg sndfile samplerate fftw3f libzip nlopt
LIB_CFLAGS   := $(shell $(PKG_CONFIG) --cflags $(LIB_PACKAGES) 2>/dev/null)
# hdf5_hl and cholmod have no .pc file; --as-needed: a program is linked with what it uses
LIBS         := -Wl,--as-needed $(or $(shell $(PKG_CONFIG) --libs $(LIB_PACKAGES) 2>/dev/null),-llz4 -lprotobuf-c -lz \
                -lnetcdf -lhdf5_serial -lpng -ljpeg -lsndfile -lsamplerate -lfftw3f -lzip -lnlopt) -lhdf5_hl -lcholmod

VERSION := 0.1.0

ifeq ($(CUDA),auto)
HAVE_CUDA := $(if $(NVCC),1,0)
else
HAVE_CUDA := $(CUDA)
endif
ifeq ($(HAVE_CUDA)$(NVCC),1)
$(error CUDA=1, but nvcc was not found: give NVCC=/path/to/nvcc or CUDA=0)
endif

# ---- flags ----
WARN := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wno-missing-field-initializers
ifeq ($(WERROR),1)
WARN += -Werror
endif
ifneq ($(SAN),)
SANFLAGS := -fsanitize=$(SAN) -fno-sanitize-recover=all -fno-omit-frame-pointer
endif
BASE_FLAGS := -std=gnu11 -D_GNU_SOURCE -pthread $(WARN) $(OPT) $(SANFLAGS) $(CFLAGS)
# Kernels may contract a*b+c and need neither errno nor trapping; reductions keep their written order.
# (psabi: gcc notes that vectors wider than the registers are passed differently since gcc 4.6; they are inlined.)
KERNEL_FLAGS := -O3 -fno-math-errno -fno-trapping-math -ffp-contract=fast -fno-semantic-interposition \
                -Wno-psabi

HASH := $(shell printf '%s' '$(CC) $(MACHINE) $(BASE_FLAGS) $(KERNEL_FLAGS) $(LIB_CFLAGS) $(LDFLAGS)' | cksum | cut -d ' ' -f 1)
OBJ  := bin/.obj/$(HASH)
INC  := -Isrc -I. -I$(OBJ)/gen $(LIB_CFLAGS)
LINK  = $(CC) $(BASE_FLAGS) $(LDFLAGS) -o $@ $(filter %.o %.a,$^) $(LIBS) -lm

# One source per instruction set: name_isa.c becomes name_isa.v2.o, .v3.o and .v4.o, told apart by NAS_ISA.
ifneq ($(filter x86_64% amd64%,$(MACHINE)),)
ISAS := v2 v3 v4
else
ISAS := base
endif
ISA_FLAGS_v2   := -march=x86-64-v2
ISA_FLAGS_v3   := -march=x86-64-v3
ISA_FLAGS_v4   := -march=x86-64-v4 -mprefer-vector-width=512
ISA_FLAGS_base :=

# ---- what there is ----
PROTO      := $(wildcard schemas/nas/v1/nas.proto)
GEN        := $(PROTO:schemas/%.proto=$(OBJ)/gen/%.pb-c) $(OBJ)/gen/onnx/onnx.pb-c
LIB_SRC    := $(filter-out src/cmd/% src/engine/backend_cuda.c,$(wildcard src/*/*.c)) $(wildcard src/data/readers/*.c)
ISA_SRC    := $(wildcard kernels/cpu/*_isa.c)
KERNEL_SRC := $(filter-out $(ISA_SRC),$(wildcard kernels/*/*.c))
LIB_OBJ    := $(LIB_SRC:%.c=$(OBJ)/%.o) $(KERNEL_SRC:%.c=$(OBJ)/%.o) $(addsuffix .o,$(GEN)) \
              $(foreach isa,$(ISAS),$(ISA_SRC:%.c=$(OBJ)/%.$(isa).o))
PROGRAMS   := $(patsubst src/cmd/%.c,%,$(wildcard src/cmd/nas-*.c))
UNIT_TESTS := $(patsubst tests/unit/%.c,$(OBJ)/tests/%,$(wildcard tests/unit/test_*.c))
PEAK_SRC   := tests/bench/peak_isa.c
BENCHES    := $(patsubst tests/bench/%.c,$(OBJ)/bench/%,$(filter-out $(PEAK_SRC),$(wildcard tests/bench/*.c)))
FUZZERS    := $(patsubst tests/fuzz/%.c,$(OBJ)/fuzz/%,$(wildcard tests/fuzz/*.c))
NAS_BIN    := $(if $(SAN),$(OBJ)/bin,bin)
FORMATTED   = $(wildcard kernels/cuda/*.cu kernels/cuda/*.cuh src/*/*.[ch] src/data/readers/*.[ch] kernels/*.h kernels/*/*.[ch] tests/*/*.[ch])

# The CUDA backend and its simulator: see "CUDA" below.
CUDA_FLAGS  := -O3 -std=c++17 -lineinfo -Xcompiler -fPIC,-fno-exceptions,-fno-threadsafe-statics,-fvisibility=hidden
# PTX of the oldest and of a newer generation: they come from different compilers within nvcc, and look different.
SIM_ARCH    := $(foreach a,75 100,-gencode arch=compute_$(a),code=compute_$(a)) --compress-mode=none
CUDA_LIB    := $(dir $(patsubst %/,%,$(dir $(NVCC))))lib64
CUDA_INC    := -isystem $(dir $(patsubst %/,%,$(dir $(NVCC))))include
SIM_OBJ     := $(patsubst tests/cudasim/%.c,$(OBJ)/cudasim/%.o,$(filter-out %/driver.c,$(wildcard tests/cudasim/*.c)))
# plain builds only: it has checks of memory of its own
SIM_TESTS   := $(if $(SAN),,$(if $(filter 1,$(HAVE_CUDA)),$(addprefix $(OBJ)/cudasim/,libprobe.so libnas-cudasim.so libcuda.so.1 registers.txt)))
# What the plugin is made of beside the kernels, compiled again as position-independent code.
PLUGIN_SRC  := src/engine/backend_cuda.c src/engine/plan.c src/engine/step.c src/engine/loss.c src/engine/graph.c src/base/arena.c src/base/rng.c
PLUGIN_OBJ  := $(PLUGIN_SRC:%.c=$(OBJ)/plugin/%.o)
CUDA_SRC    := $(wildcard kernels/cuda/*.cu)
# Every architecture that nvcc 13 knows, from Turing on, and PTX for what comes after.
CUDA_ARCHS  := 75 80 86 89 90 100 120
PLUGIN_ARCH := $(foreach a,$(CUDA_ARCHS),-gencode arch=compute_$(a),code=sm_$(a)) -gencode arch=compute_120,code=compute_120

.PHONY: all programs tests objects test bench fuzz fuzz-run man install uninstall deb clean check-layers format check-format help
.PHONY: print-obj print-nas-bin check-aarch64 cuda cuda-gates
.DELETE_ON_ERROR:
.SECONDARY:

all: programs

help:
	@echo 'targets: all cuda test bench fuzz man install uninstall deb clean check-layers check-aarch64 format check-format cuda-gates'
	@echo 'knobs:   CC OPT CFLAGS LDFLAGS SAN WERROR CUDA PREFIX DESTDIR FUZZ_SECONDS'
	@echo 'probes:  PKG_CONFIG PROTOC_C ONNX_PROTO CLANG_FORMAT NVCC LIBS'
	@echo 'now:     CC=$(CC) OPT="$(OPT)" SAN=$(SAN) objects in $(OBJ)'
	@echo 'cuda:    $(if $(filter 1,$(HAVE_CUDA)),$(NVCC),without)'
	@echo 'cuda without a GPU: cuda-gates, and bench-cuda-model MODEL="CHANNELS LAYERS SIZE fp32|bf16": times by a model of'
	@echo '         T4, A100 and H100 beside one measured time of PyTorch that stands in its text; it runs no PyTorch'
	@echo 'with a GPU: gpu-check: tests, times steps and kernels, and the same steps by PyTorch if python3 has one with CUDA'

# Programs appear in bin/ under their plain names; links are renewed when another set of flags was built in between.
programs: $(PROGRAMS:%=$(OBJ)/bin/%)
ifeq ($(SAN),)
	@for p in $(PROGRAMS); do \
	    test bin/$$p -ef $(OBJ)/bin/$$p || ln -f $(OBJ)/bin/$$p bin/$$p || cp -f $(OBJ)/bin/$$p bin/$$p || exit 1; \
	done
endif

# bench_kernels is tested, too.
tests: programs $(UNIT_TESTS) $(OBJ)/bench/bench_kernels $(OBJ)/bench/bench_step $(SIM_TESTS)

# Everything compiled, nothing linked: enough to see warnings.
objects: $(LIB_OBJ) $(patsubst %.c,$(OBJ)/%.o,$(wildcard src/cmd/*.c tests/unit/*.c tests/bench/*.c tests/fuzz/*.c))

# ---- rules ----
$(OBJ)/bin/%: $(OBJ)/src/cmd/%.o $(OBJ)/libnas.a
	@mkdir -p $(@D)
	$(LINK)

$(OBJ)/tests/%: $(OBJ)/tests/unit/%.o $(OBJ)/libnas.a
	@mkdir -p $(@D)
	$(LINK)

$(OBJ)/bench/%: $(OBJ)/tests/bench/%.o $(foreach isa,$(ISAS),$(PEAK_SRC:%.c=$(OBJ)/%.$(isa).o)) $(OBJ)/libnas.a
	@mkdir -p $(@D)
	$(LINK)

$(OBJ)/fuzz/%: $(OBJ)/tests/fuzz/%.o $(OBJ)/libnas.a
	@mkdir -p $(@D)
	$(LINK) -fsanitize=fuzzer

# Written aside and renamed: whoever links meanwhile sees a whole library.
$(OBJ)/libnas.a: $(LIB_OBJ)
	@rm -f $@.new
	$(AR) qcs $@.new $^
	@mv -f $@.new $@

COMPILE = $(CC) $(BASE_FLAGS) $(INC) -MMD -MP

$(OBJ)/src/cli/help.o: private EXTRA = \
    -DNAS_VERSION='"$(VERSION)"' -DNAS_FLAGS='"$(strip $(OPT) $(SANFLAGS) $(CFLAGS))"' \
    -DNAS_BACKENDS='"cpu ($(ISAS)), ref, cuda where libnas-cuda.so and a driver are"'
$(OBJ)/kernels/cpu/%.o: private EXTRA = $(KERNEL_FLAGS)

$(OBJ)/%.o: %.c | $(addsuffix .h,$(GEN))
	@mkdir -p $(@D)
	$(COMPILE) $(EXTRA) -c -o $@ $<

define isa_rule
$(OBJ)/%_isa.$(1).o: %_isa.c
	@mkdir -p $$(@D)
	$$(COMPILE) $$(KERNEL_FLAGS) $$(ISA_FLAGS_$(1)) -DNAS_ISA=$(1) -c -o $$@ $$<
endef
$(foreach isa,$(ISAS),$(eval $(call isa_rule,$(isa))))

$(OBJ)/gen/%.pb-c.c $(OBJ)/gen/%.pb-c.h &: schemas/%.proto
	@mkdir -p $(OBJ)/gen
	$(PROTOC_C) --proto_path=schemas --c_out=$(OBJ)/gen $<

$(OBJ)/gen/onnx/onnx.pb-c.c $(OBJ)/gen/onnx/onnx.pb-c.h &: $(ONNX_PROTO)
	@mkdir -p $(OBJ)/gen/onnx
	$(PROTOC_C) --proto_path=$(dir $<) --c_out=$(OBJ)/gen/onnx $<

$(ONNX_PROTO):
	@echo '$@ is missing: install the Debian package libonnx-dev' >&2; exit 1

# Generated code is not ours to correct.
$(OBJ)/gen/%.o: $(OBJ)/gen/%.c
	$(COMPILE) -w -c -o $@ $<

-include $(wildcard $(OBJ)/src/*/*.d $(OBJ)/src/data/readers/*.d $(OBJ)/kernels/*/*.d $(OBJ)/tests/*/*.d $(OBJ)/gen/nas/v1/*.d $(OBJ)/gen/onnx/*.d)

# ---- CUDA ----
# tests/cudasim: what stands in for libcudart runs the kernels' PTX on the CPU. Built where it runs, so for this machine.
$(OBJ)/cudasim/%.o: tests/cudasim/%.c
	@mkdir -p $(@D)
	$(COMPILE) $(CUDA_INC) -O3 $(if $(filter x86_64%,$(MACHINE)),-march=native) -fPIC -fvisibility=hidden -fno-strict-aliasing -c -o $@ $<

$(OBJ)/plugin/%.o: %.c
	@mkdir -p $(@D)
	$(COMPILE) $(CUDA_INC) -fPIC -fvisibility=hidden -c -o $@ $<

# The kernels twice: as PTX for the simulator; for all devices, spills and doubles being errors.
$(OBJ)/cudasim/kernels/%.o: kernels/cuda/%.cu Makefile
	@mkdir -p $(@D)
	$(NVCC) $(CUDA_FLAGS) -I. -Werror all-warnings $(SIM_ARCH) -MMD -MP -c -o $@ $<

$(OBJ)/cudasim/libnas-cudasim.so: $(PLUGIN_OBJ) $(CUDA_SRC:kernels/cuda/%.cu=$(OBJ)/cudasim/kernels/%.o) $(SIM_OBJ)
	$(CC) $(BASE_FLAGS) $(LDFLAGS) -shared -o $@ $^ -lm

$(OBJ)/cudasim/probe.o: tests/cudasim/probe.cu
	@mkdir -p $(@D)
	$(NVCC) $(CUDA_FLAGS) -fmad=false $(SIM_ARCH) -MMD -MP -c -o $@ $<

$(OBJ)/cudasim/libprobe.so: $(OBJ)/cudasim/probe.o $(SIM_OBJ)
	$(CC) $(BASE_FLAGS) $(LDFLAGS) -shared -o $@ $^ -lm

# A driver that answers, for programs that look for one before they open the plugin.
$(OBJ)/cudasim/libcuda.so.1: $(OBJ)/cudasim/driver.o $(OBJ)/cudasim/visible_devices.o
	$(CC) $(BASE_FLAGS) $(LDFLAGS) -shared -o $@ $^

# What ptxas gives each kernel.
$(OBJ)/cudasim/registers.txt: $(wildcard kernels/cuda/*) kernels/kernels.h tests/cuda-gates
	@mkdir -p $(@D)
	tests/cuda-gates --registers $(NVCC) > $@

-include $(wildcard $(OBJ)/cudasim/*.d $(OBJ)/cudasim/kernels/*.d $(OBJ)/plugin/src/*/*.d)

# The plugin. No libstdc++, one exported symbol; the CUDA runtime is linked in, the driver is looked for at run time.
CUDA_GATES := -Xptxas -Werror,-warn-spills,-warn-lmem-usage
$(OBJ)/plugin/kernels/cuda/norm.o: private CUDA_DOUBLE :=
CUDA_DOUBLE := ,-warn-double-usage
$(OBJ)/plugin/kernels/%.o: kernels/%.cu
	@mkdir -p $(@D)
	$(NVCC) $(CUDA_FLAGS) -I. -t 2 -Werror all-warnings --compress-mode=size $(CUDA_GATES)$(CUDA_DOUBLE) $(PLUGIN_ARCH) \
	    -MMD -MP -c -o $@ $<

$(OBJ)/libnas-cuda.so: $(PLUGIN_OBJ) $(CUDA_SRC:%.cu=$(OBJ)/plugin/%.o)
	$(CC) $(BASE_FLAGS) $(LDFLAGS) -shared -Wl,--no-undefined -Wl,--exclude-libs,ALL -o $@ $^ \
	    -L$(CUDA_LIB) -Wl,-rpath,'$$ORIGIN:$(CUDA_LIB)' -lcublas -lcudart_static -ldl -lrt -lm

cuda: $(OBJ)/libnas-cuda.so
	@mkdir -p $(NAS_BIN)
	cp -f $< $(NAS_BIN)/libnas-cuda.so

# What can be said of the plugin without a device: no spills, no local memory, no doubles but in norm.cu, for every
# architecture; nothing but the one symbol exported; and of each kernel what the tests' table of limits is about.
cuda-gates: $(OBJ)/libnas-cuda.so $(SIM_TESTS) $(OBJ)/tests/test_gates
	tests/cuda-gates $<
	$(OBJ)/tests/test_gates --print

-include $(wildcard $(OBJ)/plugin/kernels/cuda/*.d)

# ---- checks ----
test: tests
	NAS_BIN=$(abspath $(NAS_BIN)) NAS_UNIT=$(abspath $(OBJ)/tests) tests/run --no-build

# BENCH: options of bench_kernels (--filter PATTERN, --json FILE, …); --markdown makes tables for README.
BENCH =
bench: $(BENCHES)
	$(OBJ)/bench/bench_kernels $(BENCH)
	$(OBJ)/bench/bench_step a $$(nproc) 5 $(if $(findstring --markdown,$(BENCH)),markdown,profile)

# Designs of optimisers beside the published ones: the small problems of the table, smallest first, an hour of two cores. What is
# done is kept in DESIGNED, so that it may be stopped and goes on. STRUCTURE: elements, steps, methods (oc mma pixels; cnn).
DESIGNED  = structure.out/designed.txt
STRUCTURE = 32767 1000 oc mma pixels
.PHONY: bench-structure bench-solve
bench-structure: $(OBJ)/bench/bench_structure
	@mkdir -p $(dir $(DESIGNED))
	$< table $(DESIGNED) $(STRUCTURE)

# The time of a solution beside SciPy, which is installed if need be.
bench-solve: $(OBJ)/bench/bench_structure
	NAS_BENCH=$< tests/bench/bench-solve

# What the CUDA kernels would take on GPUs, by a model: minutes on the simulator. MODEL: channels, layers, size, fp32 or bf16.
MODEL =
.PHONY: bench-cuda-model gpu-check
bench-cuda-model: $(OBJ)/bench/bench_cuda_model $(SIM_TESTS)
	NAS_CUDASIM_PLUGIN=$(abspath $(OBJ))/cudasim/libnas-cudasim.so $< $(MODEL)

# For a person with a GPU: builds, tests, times, and prints a block of text to send back.
gpu-check: cuda programs $(OBJ)/tests/test_engine $(OBJ)/bench/bench_step
	tests/gpu-check $(abspath $(OBJ)) $(abspath $(NAS_BIN))

# Beside PyTorch, which is installed if need be: tests/bench/README.md.
.PHONY: bench-peer
bench-peer: $(OBJ)/bench/bench_step
	NAS_BENCH=$< tests/bench/bench-peer

# What recomputation costs and saves, as a table in Markdown.
.PHONY: bench-memory
bench-memory: $(OBJ)/bench/bench_step
	NAS_BENCH=$< tests/bench/bench-memory

# The library is compiled again with coverage feedback for libFuzzer: same rules, other flags, other folder.
fuzz:
	@command -v clang >/dev/null || { echo 'make fuzz: clang is needed (Debian: clang, libclang-rt-14-dev)' >&2; exit 1; }
	$(MAKE) CC=clang SAN=fuzzer-no-link,address fuzz-run

fuzz-run: $(FUZZERS)
	@for f in $(FUZZERS); do \
	    c=$(OBJ)/corpus/$${f##*/}; mkdir -p $$c; echo "== $${f##*/}, $(FUZZ_SECONDS) s"; \
	    $$f -max_total_time=$(FUZZ_SECONDS) -rss_limit_mb=4096 -artifact_prefix=$(OBJ)/fuzz/ -verbosity=0 \
	        -print_final_stats=1 $$c $$(ls -d tests/fuzz/$${f##*/}.seeds 2>/dev/null) || exit 1; \
	done

check-layers:
	tests/check-layers

# Built for 64-bit Arm, tested under emulation: minutes, and packages are installed.
check-aarch64:
	tests/aarch64

format:
	$(CLANG_FORMAT) -i $(FORMATTED)

check-format:
	$(CLANG_FORMAT) --dry-run -Werror $(FORMATTED)

# ---- installation ----
man: programs
	@mkdir -p bin/man
	@for p in $(PROGRAMS); do $(NAS_BIN)/$$p --man > bin/man/$$p.1 || exit 1; done

# Scripts are installed as they are; they find lib.sh beside them, and the programs from there (pipelines/lib.sh).
SCRIPTS  = sweep study
BASH_DIR = $(PREFIX)/share/bash-completion/completions
ZSH_DIR  = $(PREFIX)/share/zsh/site-functions
FISH_DIR = $(PREFIX)/share/fish/vendor_completions.d
SHARE    = $(PREFIX)/share/nas-tools

install: man
	@if test -e bin/libnas-cuda.so; then \
	    install -D -m 644 bin/libnas-cuda.so $(DESTDIR)$(PREFIX)/lib/nas-tools/libnas-cuda.so; fi
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/share/man/man1 $(DESTDIR)$(BASH_DIR) $(DESTDIR)$(ZSH_DIR) \
	    $(DESTDIR)$(FISH_DIR) \
	    $(DESTDIR)$(SHARE)/pipelines $(DESTDIR)$(SHARE)/schemas/nas/v1
	for p in $(PROGRAMS); do \
	    install -m 755 $(NAS_BIN)/$$p $(DESTDIR)$(PREFIX)/bin/ && \
	    install -m 644 bin/man/$$p.1 $(DESTDIR)$(PREFIX)/share/man/man1/ && \
	    $(NAS_BIN)/$$p --completion bash > $(DESTDIR)$(BASH_DIR)/$$p && \
	    $(NAS_BIN)/$$p --completion zsh > $(DESTDIR)$(ZSH_DIR)/_$$p && \
	    $(NAS_BIN)/$$p --completion fish > $(DESTDIR)$(FISH_DIR)/$$p.fish || exit 1; \
	done
	install -m 644 schemas/nas/v1/nas.proto $(DESTDIR)$(SHARE)/schemas/nas/v1/
	install -m 644 pipelines/lib.sh $(DESTDIR)$(SHARE)/pipelines/
	for s in $(SCRIPTS); do \
	    install -m 755 pipelines/$$s $(DESTDIR)$(SHARE)/pipelines/ && \
	    ln -sf ../share/nas-tools/pipelines/$$s $(DESTDIR)$(PREFIX)/bin/nas-$$s || exit 1; \
	done

uninstall:
	for p in $(PROGRAMS); do \
	    rm -f $(DESTDIR)$(PREFIX)/bin/$$p $(DESTDIR)$(PREFIX)/share/man/man1/$$p.1 $(DESTDIR)$(BASH_DIR)/$$p \
	        $(DESTDIR)$(ZSH_DIR)/_$$p $(DESTDIR)$(FISH_DIR)/$$p.fish; \
	done
	rm -f $(SCRIPTS:%=$(DESTDIR)$(PREFIX)/bin/nas-%)
	rm -rf $(DESTDIR)$(SHARE) $(DESTDIR)$(PREFIX)/lib/nas-tools

# A Debian package of what `make install` installs, in DEB_DIR; the plugin of `make cuda`, if it was built, in another.
DEB_DIR = bin/deb
deb: programs
	rm -rf $(OBJ)/deb
	$(MAKE) -s -o programs install DESTDIR=$(OBJ)/deb PREFIX=/usr NAS_BIN=$(NAS_BIN) \
	    ZSH_DIR=/usr/share/zsh/vendor-completions # where Debian's zsh looks
	packaging/deb $(OBJ)/deb $(VERSION) $(DEB_DIR)

clean:
	rm -rf bin/.obj bin/man bin/deb bin/nas-* bin/libnas-cuda.so

# For scripts: where this set of flags keeps its files.
print-obj:
	@echo $(OBJ)
print-nas-bin:
	@echo $(NAS_BIN)
