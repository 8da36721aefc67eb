"""A paper's tables once more, by one resumable command each.

covid_rows      the rows of the COVID-SemiSeg table: which method with which settings
covid_floors    what needs no training: thresholds chosen on the scores
covid_semiseg   cross-validation of the rows, the final model
covid_tables    a line per slice, a line per row, the claims and the report
lobe_rows       the lobe networks, their presets, and what makes the test scans hard
lobes           their comparison on phantoms
table2          dRAM's comparison and ablation on phantoms, row by row
table2_presets  how large everything is
table2_rows     the rows, each a config
table2_floors   the rows without a network
sharing  what rows have in common is computed once
table2_gather   what the runs found, as tables
table2_effects  which row is better than which
table2_figure   examples beside each other
table2_report   the tables and the report
tables          which command makes which table
"""
