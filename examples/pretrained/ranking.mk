# Nine bases, ranked for two targets, and what they are worth there. All take images of 32x32 in colour.
SPLIT32 = $(TLCLI) split --image-size 32 --channels 3
RECIPE32 = --arch cnn6-bn --batch-size 50 --schedule one-cycle --learning-rate 0.004 --eval-every 1000000
BASES := random cifar100-5k cifar100-50k cifar100-whitened cifar10-half mnist fashion imagenet-64 imagenet-128
RANKED := $(BASES:%=$(OUT)/b-%.h5)

$(OUT)/cifar100.h5: | $(OUT)
	$(SPLIT32) --dataset cifar100 --classes all -o $@ --force
$(OUT)/half-a.h5: | $(OUT)
	$(SPLIT32) --dataset cifar10 --classes 0-4 -o $@ --force
$(OUT)/mnist32.h5: | $(OUT)
	$(SPLIT32) --dataset mnist --classes all --size 10000 -o $@ --force
$(OUT)/fashion32.h5: | $(OUT)
	$(SPLIT32) --dataset fashion-mnist --classes all --size 10000 -o $@ --force
$(OUT)/target-cifar10.h5: | $(OUT)
	$(SPLIT32) --dataset cifar10 --classes 5-9 --size 500 --seed 42 -o $@ --force
$(OUT)/target-mnist.h5: | $(OUT)
	$(SPLIT32) --dataset mnist --classes all --size 500 --seed 42 -o $@ --force

$(OUT)/b-random.h5: $(OUT)/cifar100.h5
	$(TLCLI) train-base $< --arch cnn6-bn --samples 50 --learning-rate 0.0000001 -o $@ --force
$(OUT)/b-cifar100-%k.h5: $(OUT)/cifar100.h5
	$(TLCLI) train-base $< $(RECIPE32) --samples $*000 -o $@ --force --resume
$(OUT)/b-cifar10-half.h5: $(OUT)/half-a.h5
	$(TLCLI) train-base $< $(RECIPE32) --samples 50000 -o $@ --force --resume
$(OUT)/b-mnist.h5: $(OUT)/mnist32.h5
	$(TLCLI) train-base $< $(RECIPE32) --samples 20000 -o $@ --force --resume
$(OUT)/b-fashion.h5: $(OUT)/fashion32.h5
	$(TLCLI) train-base $< $(RECIPE32) --samples 20000 -o $@ --force --resume
$(OUT)/b-cifar100-whitened.h5: ../cifar/cifar100-base.h5 | $(OUT)
	cp $< $@
$(OUT)/b-imagenet-%.h5: | $(OUT)
	$(TLCLI) import-weights $(WEIGHTS) --arch efficientnet-lite0 --input 32x32x3 --arch-option resize=$* --classes 1000 -o $@ --force

$(OUT)/ranking-%.h5: $(OUT)/target-%.h5 $(RANKED)
	$(TLCLI) rank $(RANKED) --target $< -o $@ --force

define worth
$(OUT)/to-$(1)-b-$(2).h5: $(OUT)/b-$(2).h5 $(OUT)/target-$(1).h5
	$$(TLCLI) transfer $$^ --method logistic --method finetune --method finetune:statistics=1 --optimizer adamw \
	  --learning-rate 0.001 --schedule one-cycle --weight-decay 0.01 --batch-size 50 --augment crop:4 \
	  --samples 5000 --eval-every 5000 --runs 1 --seed 42 -o $$@ --force --resume
endef
$(foreach t,cifar10 mnist,$(foreach b,$(BASES),$(eval $(call worth,$(t),$(b)))))

ranking: $(foreach t,cifar10 mnist,$(OUT)/ranking-$(t).h5 $(BASES:%=$(OUT)/to-$(t)-b-%.h5))
	$(PYTHON) agreement.py $(OUT)
PYTHON ?= $(firstword $(wildcard $(ROOT)/.venv/bin/python) python3)
