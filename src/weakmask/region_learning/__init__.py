"""What methods share that learn region by region: one crop per scored region, a network, maps put back onto the scan.

It knows none of the methods: they import it. In the order in which a run needs them:

settings    the sections of a config that are the same for all
cases       a cohort's cases, with their faults noted and their regions read or made
crops       one region as a network sees it, and a set of them in memory
prepare     the first stage: cohort -> crops
training    the loop's plan, and which crops a step takes
model       the model file: weights, and all that a prediction needs
prediction  what a model says of one scan
scan_map    a network that speaks of crops -> a map of the scan
maps        the stage that segments what is judged
judging     masks against truth, beside three baselines that need no network
telling     the run and the prediction for a person
"""
