"""What methods share that learn region by region: one crop per scored region, a network, maps put back onto the scan.

model      the model file: weights, and all that a prediction needs
training   the loop's plan, and which crops a step takes
maps       crops -> maps on the scan -> masks and scores
judging    masks against truth, beside three baselines that need no network
telling    the run and the prediction for a person
"""
