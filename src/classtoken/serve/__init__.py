"""HTTP services, for this machine only.

* `walkthrough`  the walkthrough page with uploads, whole matrices and free what-if
* `pictures`     an uploaded picture, checked
* `local`        loopback sockets and keys
"""
