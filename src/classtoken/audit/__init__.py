"""What somebody else's vectors really are: a service's, or stored ones with their texts.

* `services`    ask a service for vectors: OpenAI's, TEI's and Ollama's ways
* `stored`      texts and their vectors out of a file or a folder
* `probes`      texts that tell readouts, prompts and limits apart
* `readings`    the vectors that a model would give, read in every way that others are known to read it
* `diagnosis`   theirs beside all of these, and the name of what fits
* `golden`      vectors of a few inputs, kept beside a folder of vectors, that prove it years later
"""
