"""The tables of the papers, each made by one resumable command (`weakmask reproduce`).

experiment         an experiment as data: rows, presets, cohorts
run                the runner of all experiments, and their list
training           the training of one run
parallel_runs      trainings in parallel processes
stage_reuse        stages that rows have in common are computed once
gather             the results of complete runs
report             their tables and report
effects            which row is better than which
examples_figure    example scans with the masks of several rows
floors             rows without a network
covid_semiseg      dRAM and its rivals on the slices of COVID-SemiSeg
dram_phantoms      dRAM's comparison and ablation on phantoms (`table2`)
lobe_networks      the lobe networks on phantoms
"""
