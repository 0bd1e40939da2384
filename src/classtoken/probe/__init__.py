"""How to look into a model and how to change it, for one batch.

    subject        the model as a study sees it: an encoder, a readout, an outcome to be explained, its answers
    traced         one undisturbed forward, kept: what everything else reads
    capture        the traces that keep values
    interventions  the traces that change values: cuts of edges, tokens, heads, layers; patches of states
    run_on         the rest of a forward from states that enter a layer; removal: tokens that are not there
    accounting     the exact sum that a token's state is; embedding: how its first state comes about
    lens           the classifier applied to every layer

Everything works on batches, asks roles and never places, and leaves the model as it was.
"""
