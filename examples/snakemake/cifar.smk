# CIFAR-100 to CIFAR-10: a job trains the base where there is none, then one job for each small set and kind of method.

C = f"{OUT}/cifar"
C_FILES = os.path.abspath(C)
SIZES = [int(n) for n in words("cifar_sizes")]
DRAWS = {int(n): draws for n, draws in config["cifar_draws"].items()}
SETS = [f"n{n}-s{s}" for n in SIZES for s in DRAWS[n]]
NEIGHBOURS = ["euclidean-uniform", "euclidean-distance", "cosine-uniform", "cosine-distance", "all"]
C_SIZES = {"SIZES": " ".join(map(str, SIZES)), "SEED": SEED}
C_SIZES |= {f"DRAWS_{n}": " ".join(map(str, DRAWS[n])) for n in SIZES}
C_MAKE = make("cifar", THREADS=2, **C_SIZES)


wildcard_constraints:
    kind="|".join(words("cifar_kinds")),
    set=r"n\d+-s\d+",


rule cifar:
    input:
        f"{C}/report/report.html",


rule cifar_sets:
    localrule: True
    output:
        f"{C}/cifar100.h5",
        expand(f"{C}/cifar10-{{set}}.h5", set=SETS),
    params:
        files=expand(f"{C_FILES}/cifar10-{{set}}.h5", set=SETS),
    shell:
        "{C_MAKE} {C_FILES}/cifar100.h5 {params.files}"


rule cifar_base:
    input:
        rules.cifar_sets.output,
    output:
        touch(f"{C}/base.done"),
    threads: 2
    resources:
        mem_mb=8000,
        runtime=360,
    shell:
        "{C_MAKE} base"


rule cifar_neighbours:
    input:
        rules.cifar_base.output,
    output:
        expand(f"{C}/knn-{{how}}-{{{{set}}}}.h5", how=NEIGHBOURS),
    params:
        files=lambda w: [f"{C_FILES}/knn-{how}-{w.set}.h5" for how in NEIGHBOURS],
    threads: 2
    resources:
        mem_mb=6000,
        runtime=60,
    shell:
        "{C_MAKE} {params.files}"


rule cifar_methods:
    input:
        rules.cifar_base.output,
    output:
        f"{C}/{{kind}}-{{set}}.h5",
    threads: 2
    resources:
        mem_mb=8000,
        runtime=360,
    shell:
        "{C_MAKE} {C_FILES}/{wildcards.kind}-{wildcards.set}.h5"


rule cifar_report:
    localrule: True
    input:
        expand(f"{C}/{{kind}}-{{set}}.h5", kind=words("cifar_kinds"), set=SETS),
        expand(f"{C}/knn-{{how}}-{{set}}.h5", how=NEIGHBOURS, set=SETS),
    output:
        f"{C}/report/report.html",
    shell:
        "{C_MAKE} {C_FILES}/report/report.html"
