"""Shared parts of methods that learn from regions: one crop per scored region, a network, maps on the scan's grid.

The methods import this package; it imports no method. Its modules, in the order in which a run uses them:

settings             the sections of a config that are the same for all methods
usable_cases         a cohort's cases, with faults noted and regions read or made
crops                crops of regions, and sets of crops in memory
prepare              the first stage: cohort -> crops
crop_batches         the plan of the training loop, and the crops of a step
region_model         the model file: weights, and all data that a prediction needs
prediction           the prediction for one scan
scan_map             maps of crops -> a map of the scan
write_predictions    the stage that segments the scans to evaluate
threshold_baselines  three baselines without a network, and the choice of a threshold
threshold_masks      these masks for all scans of a run
evaluate_run         masks against truth, beside the baselines
run_report           the reports of a run and of a prediction
"""
