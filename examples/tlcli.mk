# What every example's Makefile shares. TLCLI is the installed program, or the one of the environment that
# the README's first line makes.
ROOT  := $(abspath $(dir $(lastword $(MAKEFILE_LIST)))..)
TLCLI ?= $(firstword $(wildcard $(ROOT)/.venv/bin/tlcli) tlcli)
OUT   ?= out
SEED  ?= 0
# CPU threads of each process; 0: one per core. `make -j2 THREADS=1` is the fastest way on two cores.
THREADS ?= 0
threads = $(if $(filter-out 0,$(THREADS)),--threads $(THREADS))

# A target is a finished file or nothing: tlcli writes beside it and renames. An older file whose inputs
# have changed is replaced (--force), a training that was cut off goes on (--resume).
.DELETE_ON_ERROR:
.SUFFIXES:

# The pages that `make` makes; an example that has others says so before it includes this file.
PAGES ?= $(OUT)/report/report.html

.DEFAULT_GOAL := all
.PHONY: all clean
all: $(PAGES)
	@echo "The report: $(abspath $^)"

$(OUT):
	mkdir -p $@

clean:
	rm -rf $(OUT)

# Keep what is made on the way.
.SECONDARY:
