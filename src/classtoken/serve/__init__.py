"""HTTP services.

* `service`      vectors over HTTP: OpenAI's embeddings around models that are loaded once (`served`, `asked`,
                 `batching`, `answers`, `metrics`)
* `walkthrough`  the walkthrough page with uploads, whole matrices and free what-if, for this machine only
* `bodies`       what every service does with a request's body, and how it refuses
* `pictures`     an uploaded picture, checked
* `local`        sockets and keys, and how an application is run (`impatient`: slow clients are dropped)
"""
