"""One input traced once, or many surveyed: descriptions, knock-outs, swaps, removals, each beside its control."""
