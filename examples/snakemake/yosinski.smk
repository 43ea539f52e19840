# The layer study after Yosinski et al.: one process for each base, which does its 26 networks; a base and
# its grid are one job of a cluster (their group).

Y = f"{OUT}/yosinski"
HALVES = [f"{split}{half}" for split in words("yosinski_splits") for half in "ab"]


rule yosinski:
    input:
        f"{Y}/report/report.html",


rule yosinski_half_a:
    localrule: True
    output:
        f"{Y}/half-{{split}}a.h5",
    shell:
        "{TLCLI} split --dataset {config[yosinski_dataset]} --classes random:5 --seed {wildcards.split}"
        " -o {output} --force"


rule yosinski_half_b:
    localrule: True
    input:
        rules.yosinski_half_a.output,
    output:
        f"{Y}/half-{{split}}b.h5",
    shell:
        "{TLCLI} split --dataset {config[yosinski_dataset]} --classes except:{input} --seed {wildcards.split}"
        " -o {output} --force"


rule yosinski_base:
    input:
        f"{Y}/half-{{split}}{{half}}.h5",
    output:
        f"{Y}/base-{{split}}{{half}}.h5",
    threads: 1
    group:
        "yosinski_{split}{half}"
    resources:
        mem_mb=4000,
        runtime=60,
    shell:
        "{TLCLI} train-base {input} --arch cnn6-bn --arch-option filters={config[yosinski_filters]}"
        " --epochs {config[yosinski_base_epochs]} --batch-size 50 --threads {threads} --seed {SEED}"
        " -o {output} --force --resume"


rule yosinski_grid:
    input:
        rules.yosinski_base.output,
        f"{Y}/half-{{split}}a.h5",
        f"{Y}/half-{{split}}b.h5",
    output:
        f"{Y}/results-{{split}}{{half}}.h5",
    threads: 1
    group:
        "yosinski_{split}{half}"
    resources:
        mem_mb=6000,
        runtime=120,
    shell:
        "{TLCLI} transfer {input} --method scratch --method freeze --method finetune --copy 1-6 --runs {config[yosinski_runs]}"
        " --epochs {config[yosinski_epochs]} --batch-size 50 --threads {threads} --seed {SEED}"
        " -o {output} --force --resume"


rule yosinski_report:
    localrule: True
    input:
        expand(f"{Y}/results-{{half}}.h5", half=HALVES),
        expand(f"{Y}/base-{{half}}.h5", half=HALVES),
    output:
        f"{Y}/report/report.html",
    params:
        folder=f"{Y}/report",
    shell:
        "{TLCLI} report {input} --title 'CIFAR-10 halves: which layers transfer' -o {params.folder} --force"
