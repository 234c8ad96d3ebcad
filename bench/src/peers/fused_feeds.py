"""Runs a fused file on prepared feeds in plain onnxruntime. Usage: fused_feeds.py FUSED.onnx FOLDER ; prints one JSON list of scores.

FOLDER has chunk-0.json, chunk-1.json ...: [{name, type, dims, texts | file}], where a file holds the values as they lie in memory."""

import json
import pathlib
import sys

import numpy as np
import onnxruntime

path, folder = sys.argv[1], pathlib.Path(sys.argv[2])
session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
types = {"float64": np.float64, "float32": np.float32, "bool": np.bool_, "int8": np.int8}
scores = []
for number in range(len(list(folder.glob("chunk-*.json")))):
    feeds = {}
    for each in json.loads((folder / f"chunk-{number}.json").read_text(encoding="utf-8")):
        if "texts" in each:
            values = np.array(each["texts"], dtype=object)
        else:
            values = np.fromfile(folder / each["file"], dtype=types[each["type"]])
        feeds[each["name"]] = values.reshape(each["dims"])
    (score,) = session.run(["score"], feeds)
    scores += [None if np.isnan(one) else float(one) for one in score[:, 0]]
print(json.dumps(scores))
