"""Why this vector: what the class token looked at, what reached it indirectly, what it ignored, and whether it matters.

    subject        the model as analysis sees it: an encoder, a readout, an outcome to be explained
    capture        internal values by name, only those that were asked for, with nothing left behind
    accounting     the exact sum that the class token's state is
    description    entropy, distance, mass by role, agreement of heads
    rollout, flow  indirect paths
    interventions  knock-outs, patches, swaps; removal: tokens that are not there; resume: on from a layer
    relevance      gradients, integrated gradients, occlusion
    lens           the classifier applied to every layer
    faithfulness   deletion, insertion, SaCo; truth: scores against masks
    unseen         what it did not look at
    artefacts      outlier tokens, sinks
    methods        every map by name, and what it needs

Whether several class tokens specialise is told by `measure.specialisation` from captured states.

Everything works on batches, asks roles and never places, and leaves the model as it was.
"""
