# The MNIST study: one process for each base and each length of training, which does all its runs.

M = f"{OUT}/mnist"


rule mnist:
    input:
        f"{M}/report/report.html",


rule mnist_source:
    localrule: True
    output:
        f"{M}/mnist-0-5.h5",
    shell:
        "{TLCLI} split --dataset {config[mnist_dataset]} --classes 0-5 --multiple-of {config[mnist_multiple]}"
        " --seed {SEED} -o {output} --force"


rule mnist_target:
    localrule: True
    output:
        f"{M}/mnist-6-9-p{{p}}.h5",
    shell:
        "{TLCLI} split --dataset {config[mnist_dataset]} --classes 6-9 --proportion {wildcards.p}"
        " --multiple-of {config[mnist_multiple]} --seed {SEED} -o {output} --force"


rule mnist_base:
    input:
        rules.mnist_source.output,
    output:
        f"{M}/base-{{net}}.h5",
    params:
        option=lambda w: "--arch-option dropout=0.5" if w.net == "dropout" else "",
    threads: 2
    group:
        "mnist_{net}"
    resources:
        mem_mb=4000,
        runtime=60,
    shell:
        "{TLCLI} train-base {input} --arch cnn2 {params.option} --epochs {config[mnist_epochs]} --batch-size 100"
        " --eval-every {config[mnist_eval_every]} --threads {threads} --seed {SEED} -o {output} --force --resume"


rule mnist_grid:
    input:
        base=rules.mnist_base.output,
        targets=lambda w: [
            f"{M}/mnist-6-9-p{p}.h5" for p in (words("mnist_small") if w.length == "small" else ["1.0"])
        ],
    output:
        f"{M}/results-{{net}}-{{length}}.h5",
    wildcard_constraints:
        length="small|full",
    params:
        samples=lambda w: config["mnist_samples" + ("_full" if w.length == "full" else "")],
    threads: 2
    group:
        "mnist_{net}"
    resources:
        mem_mb=8000,
        runtime=240,
    shell:
        "{TLCLI} transfer {input.base} {input.targets} --method scratch --method freeze:copy=2"
        " --method finetune --runs {config[mnist_runs]} --batch-size 100"
        " --eval-every {config[mnist_eval_every]} --samples {params.samples} --threads {threads} --seed {SEED}"
        " -o {output} --force --resume"


rule mnist_report:
    localrule: True
    input:
        expand(f"{M}/results-{{net}}-{{length}}.h5", net=["plain", "dropout"], length=["small", "full"]),
        expand(f"{M}/base-{{net}}.h5", net=["plain", "dropout"]),
        f"{M}/mnist-6-9-p1.0.h5",
    output:
        f"{M}/report/report.html",
    params:
        folder=f"{M}/report",
    shell:
        "{TLCLI} report {input} --title 'MNIST 0-5 to 6-9' -o {params.folder} --force"
