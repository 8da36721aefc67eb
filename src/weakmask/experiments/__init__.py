"""The tables of the papers, each made by one resumable command (`weakmask reproduce`).

experiment         an experiment as data: rows, presets, cohorts
run                the runner of all experiments, and their list
training           the training of one run
gather             the results of complete runs: of scans, of seeds, of rows
report             their tables, figure and report
floors             rows without a network
covid_cxr          dRAM and its rivals on X-rays of COVID-19
covid_semiseg      dRAM and its rivals on the slices of COVID-SemiSeg
dual_task          dual-task MIL and its rivals on the slices of COVID-SemiSeg
dual_task_phantoms dual-task MIL and its rivals on phantoms, in 3-D
dual_task_tables   their numbers: over slices, inside the lungs, over whole pictures
dram_phantoms      dRAM's comparison and ablation on phantoms (`table2`)
lobe_networks      the lobe networks on phantoms
wsmis_tables       WSMIS step by step (`wsmis-pets` and the like): rows and tables
wsmis_presets      its settings, data set by data set
wsmis_cohorts      its data sets and their splits
"""
