"""What `walkthrough` does, part by part: from an embedder and its inputs to a `page.document.Walkthrough`.

answering    what the model answers: confidences, or cosines to other inputs
inputs       an item as tokens, pictures and words for the page; example inputs
card         the model card and the few weights that the page's arithmetic needs
numbers      the class token's row of everything, layer by layer
laboratory   knock-outs with their null, removals, swaps, a causal mask, other poolings, a second class token
surveys      statistics over many inputs, with random weights as control
engine       one loaded model and its inputs, for a page on disk and for a server
"""
