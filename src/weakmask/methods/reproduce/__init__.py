"""A paper's tables once more, by one resumable command each.

covid_rows      the rows of the COVID-SemiSeg table: which method with which settings
covid_floors    what needs no training: thresholds chosen on the scores
covid_semiseg   cross-validation of the rows, the final model
covid_tables    a line per slice, a line per row, the claims and the report
lobe_rows       the lobe networks, their presets, and what makes the test scans hard
lobes           their comparison on phantoms
tables          which command makes which table
"""
