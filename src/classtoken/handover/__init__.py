"""What is handed over to other software: a model as an ONNX graph with its proof, a folder of vectors as an index.

* `graph`    one side of a model as a module of plain tensors: ids or pixels in, the contract's vector out
* `onnx`     that module as a file, and the proof that ONNX Runtime alone gives the same vectors
* `vectors`  a folder of vectors as a Lance data set or a FAISS index
"""
