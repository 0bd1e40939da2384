"""Results as figures and pages, without torch: SVG that reads in light and dark, one self-contained HTML file, PNG.

colour   cividis for heat, a diverging scale for signed numbers, a palette for series; all safe for colour-blind eyes
svg      elements and text, escaped
charts   curves with bands, dots with intervals, numbers in a matrix
maps     heat over a picture's patches, and small maps by layer and head
words    a text with its words shaded
html     sections -> one page; png: the same maps as a picture file
explain  the page of `explain`
"""
