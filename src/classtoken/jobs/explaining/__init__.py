"""What `explain` does, part by part: inputs for a reader, descriptions of layers, findings over a data set.

inputs      an item as tokens, words and the picture that the model saw
describing  rows, artefacts and notes of one input
gathering   the same numbers over many inputs, in batches
findings    gathered numbers -> means with intervals, beside random weights
"""
