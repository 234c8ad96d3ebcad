"""A model for the Python backend of Triton: ONNX Runtime with the options of Hotloop's runners.

Triton hands over the requests that it has batched; they run as one batch, and the answer is split again.
"""

import os

import numpy as np
import onnxruntime
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def initialize(self, args):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        path = os.path.join(args["model_repository"], args["model_version"], "model.onnx")
        self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self.input = self.session.get_inputs()[0].name
        self.output = self.session.get_outputs()[0].name

    def execute(self, requests):
        parts = [pb_utils.get_input_tensor_by_name(request, self.input).as_numpy() for request in requests]
        rows = parts[0] if len(parts) == 1 else np.concatenate(parts)
        (scores,) = self.session.run([self.output], {self.input: rows})
        responses = []
        start = 0
        for part in parts:
            answer = pb_utils.Tensor(self.output, scores[start : start + len(part)])
            responses.append(pb_utils.InferenceResponse(output_tensors=[answer]))
            start += len(part)
        return responses
