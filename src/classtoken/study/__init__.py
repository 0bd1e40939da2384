"""One input traced once, or many surveyed; the verbs, reports and pages read it.

explanation    one input: everything that `explain` finds
describing     rows, artefacts and notes of a trace (description, artefacts: the formulas)
cuts           what can be taken away; knockouts: taking it away; control: the rule for what it is held against
swaps          another input's states put in; experiments: a causal mask, other poolings, a second class token
survey         many inputs as arrays; findings: with intervals, beside random weights; ranking: maps tested
unseen         what was not looked at; truth: masks and labels
"""
