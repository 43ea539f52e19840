# Practical II: CIFAR-10 in two parts, three ways to use the base. One job trains the base and the three networks.

P = f"{OUT}/practical2"
P_FILES = os.path.abspath(P)
P_MAKE = make("practical2", DIGITS=config["practical2_digits"], RUNS=config["practical2_runs"],
              EPOCHS=config["practical2_epochs"], SEED=SEED)


rule practical2:
    input:
        f"{P}/report/report.html",


rule practical2_parts:
    localrule: True
    output:
        f"{P}/a.h5",
        f"{P}/b.h5",
    shell:
        "{P_MAKE} {P_FILES}/a.h5 {P_FILES}/b.h5"


rule practical2_networks:
    input:
        rules.practical2_parts.output,
    output:
        f"{P}/base.h5",
        f"{P}/results.h5",
    threads: 2
    resources:
        mem_mb=6000,
        runtime=120,
    shell:
        "{P_MAKE} {P_FILES}/results.h5"


rule practical2_report:
    localrule: True
    input:
        rules.practical2_networks.output,
    output:
        f"{P}/report/report.html",
    shell:
        "{P_MAKE} {P_FILES}/report/report.html"
