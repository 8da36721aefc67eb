"""A paper's tables once more, by one resumable command each.

covid_rows      the rows of the COVID-SemiSeg table: which method with which settings
covid_semiseg   cross-validation of the rows, the tables and the report; the final model
"""
