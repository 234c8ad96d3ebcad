"""Answers rows by a fused file in plain onnxruntime. Usage: fused_answers.py FUSED.onnx ROWS.jsonl ; prints one JSON list of scores."""

import json
import sys

import numpy as np
import onnxruntime

path, rows = sys.argv[1:3]
session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
inputs = json.loads(session.get_modelmeta().custom_metadata_map["hotloop.inputs"])
types = {"float64": np.float64, "float32": np.float32, "bool": np.bool_, "int8": np.int8, "string": object}
absent = {"float64": np.nan, "float32": np.nan, "int8": -1, "string": "\x1a"}
given = [json.loads(line) for line in open(rows, encoding="utf-8")]
feeds = {}
for each in inputs:
    name = each["name"].split(".", 1)[1]
    values = [row.get(name) for row in given]
    values = [absent.get(each["type"]) if value is None else value for value in values]
    feeds[each["name"]] = np.array(values, dtype=types[each["type"]]).reshape(len(given), 1)
(score,) = session.run(["score"], feeds)
print(json.dumps([None if np.isnan(one) else float(one) for one in score[:, 0]]))
