"""Trains a LightGBM model for Hotloop: `training: {trainer: {command: [python3, train_lightgbm.py]}}`.

Needs: pip install lightgbm onnxmltools pyarrow
Reads dataset.parquet, settings.json; writes model.onnx, metrics.json. The current folder is the job's.
"""
import json

import lightgbm
import numpy as np
import pyarrow.parquet as parquet
from onnxmltools import convert_lightgbm
from onnxmltools.convert.common.data_types import FloatTensorType

FIRST_FEATURE = 10  # prediction_id, row, at, part, label, weight, source, version, group, fold

settings = json.load(open("settings.json"))
table = parquet.read_table("dataset.parquet").to_pandas()
train = table[table["part"] == "training"]  # never touch "holdout": the gate judges on it
features = train.iloc[:, FIRST_FEATURE:].to_numpy(np.float32)

model = lightgbm.LGBMClassifier(
    n_estimators=int(settings.get("trees", 100)),
    learning_rate=float(settings.get("learning_rate", 0.1)),
    random_state=int(settings.get("seed") or 0),
    verbose=-1,
)
model.fit(features, (train["label"].to_numpy() > 0.5).astype(np.int64), sample_weight=train["weight"].to_numpy())

onnx = convert_lightgbm(model, initial_types=[("input", FloatTensorType([None, features.shape[1]]))], zipmap=False)
del onnx.graph.output[0]  # the label; the decision makes its own
open("model.onnx", "wb").write(onnx.SerializeToString())
json.dump({"trees": int(model.n_estimators_)}, open("metrics.json", "w"))
