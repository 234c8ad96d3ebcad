"""Ordinary use of the unmodified tritonclient against a running server: gRPC and HTTP.

Arguments: gRPC address, HTTP address. Expects the models `tiny` (input FP32 [-1, 4] -> score), `text` (x BYTES [-1] ->
x_out) and `half` (x FP16 [-1] -> x_out). Prints one line a check; a failed check ends it with status 1.
"""

import queue
import sys

import numpy as np
import tritonclient.grpc as grpcclient
import tritonclient.http as httpclient
from tritonclient.utils import InferenceServerException

GRPC, HTTP = sys.argv[1], sys.argv[2]
ROWS = np.array([[1, 2, 3, 4], [4, 3, 2, 1]], dtype=np.float32)


def tensor(client, name, values, datatype):
    made = client.InferInput(name, list(values.shape), datatype)
    made.set_data_from_numpy(values)
    return made


def check(what, condition):
    print(("ok " if condition else "FAILED ") + what, flush=True)
    if not condition:
        sys.exit(1)


def common(kind, client, module):
    check(f"{kind}: live and ready", client.is_server_live() and client.is_server_ready() and client.is_model_ready("tiny"))
    check(f"{kind}: unknown version is not ready", not ready(client, "tiny", "9"))
    result = client.infer("tiny", [tensor(module, "input", ROWS, "FP32")], outputs=[module.InferRequestedOutput("score")])
    scores = result.as_numpy("score")
    check(f"{kind}: infer", scores.shape == (2, 1) and bool(np.isfinite(scores).all()))
    alone = client.infer("tiny", [tensor(module, "input", ROWS[1:], "FP32")], model_version="live", request_id="7")
    check(f"{kind}: all outputs, by label, with an id", np.allclose(alone.as_numpy("score"), scores[1:]))
    text = np.array([b"ab", "é☃".encode(), b""], dtype=np.object_)
    echoed = client.infer("text", [tensor(module, "x", text, "BYTES")]).as_numpy("x_out")
    check(f"{kind}: BYTES", list(echoed) == list(text))
    half = np.array([1.5, -2], dtype=np.float16)
    check(f"{kind}: FP16", np.array_equal(client.infer("half", [tensor(module, "x", half, "FP16")]).as_numpy("x_out"), half))
    try:
        client.infer("tiny", [tensor(module, "input", ROWS[:, :3].copy(), "FP32")])
        check(f"{kind}: a wrong shape is refused", False)
    except InferenceServerException as error:
        check(f"{kind}: a wrong shape is refused", "[2,3]" in error.message())
    client.load_model("tiny")


def ready(client, model, version):
    try:
        return client.is_model_ready(model, version)
    except InferenceServerException:
        return False


def over_grpc():
    client = grpcclient.InferenceServerClient(GRPC)
    common("grpc", client, grpcclient)
    check("grpc: metadata", client.get_model_metadata("tiny").inputs[0].shape == [-1, 4])
    config = client.get_model_config("tiny").config
    check("grpc: config", config.max_batch_size > 0 and config.input[0].dims == [4] and config.HasField("dynamic_batching"))
    statistics = client.get_inference_statistics("tiny").model_stats[0]
    check("grpc: statistics", statistics.inference_count >= 3 and statistics.inference_stats.success.count >= 2)
    index = client.get_model_repository_index()
    check("grpc: repository index", {model.name for model in index.models} >= {"tiny", "text", "half"})
    answers = queue.Queue()
    client.start_stream(lambda result, error: answers.put((result, error)))
    for number in range(20):
        client.async_stream_infer("tiny", [tensor(grpcclient, "input", ROWS, "FP32")], request_id=str(number))
    received = [answers.get(timeout=10) for _ in range(20)]
    client.stop_stream()
    in_order = [result.get_response().id for result, error in received if error is None]
    check("grpc: stream, in order", in_order == [str(number) for number in range(20)])


def over_http():
    client = httpclient.InferenceServerClient(HTTP)
    common("http", client, httpclient)
    check("http: metadata", client.get_model_metadata("tiny")["inputs"][0]["shape"] == [-1, 4])
    check("http: config", client.get_model_config("tiny")["max_batch_size"] > 0)
    check("http: statistics", client.get_inference_statistics("tiny")["model_stats"][0]["inference_count"] >= 3)
    plain = httpclient.InferInput("input", [2, 4], "FP32")
    plain.set_data_from_numpy(ROWS, binary_data=False)
    output = httpclient.InferRequestedOutput("score", binary_data=False)
    check("http: JSON both ways", client.infer("tiny", [plain], outputs=[output]).as_numpy("score").shape == (2, 1))
    zipped = client.infer("tiny", [tensor(httpclient, "input", ROWS, "FP32")], request_compression_algorithm="gzip")
    check("http: compressed", zipped.as_numpy("score").shape == (2, 1))


over_grpc()
over_http()
print("all checks passed")
