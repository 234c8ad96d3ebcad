"""Trains a scikit-learn model for Hotloop: `training: {trainer: {command: [python3, train_sklearn.py]}}`.

Needs: pip install scikit-learn skl2onnx pyarrow
Reads dataset.parquet, settings.json; writes model.onnx, metrics.json. The current folder is the job's.
"""
import json

import numpy as np
import pyarrow.parquet as parquet
from skl2onnx import to_onnx
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import log_loss

FIRST_FEATURE = 10  # prediction_id, row, at, part, label, weight, source, version, group, fold

settings = json.load(open("settings.json"))
table = parquet.read_table("dataset.parquet").to_pandas()
train = table[table["part"] == "training"]  # never touch "holdout": the gate judges on it
features = train.iloc[:, FIRST_FEATURE:].to_numpy(np.float32)
labels = (train["label"].to_numpy() > 0.5).astype(np.int64)

model = RandomForestClassifier(
    n_estimators=int(settings.get("trees", 100)),
    max_depth=int(settings.get("depth", 8)),
    random_state=int(settings.get("seed") or 0),
)
model.fit(features, labels, sample_weight=train["weight"].to_numpy())

# One output of probabilities [N, 2], without ZipMap.
onnx = to_onnx(model, features[:1], options={id(model): {"zipmap": False}}, target_opset={"": 17, "ai.onnx.ml": 3})
del onnx.graph.output[0]  # the label; the decision makes its own
open("model.onnx", "wb").write(onnx.SerializeToString())
json.dump({"loss": float(log_loss(labels, model.predict_proba(features))), "trees": len(model.estimators_)}, open("metrics.json", "w"))
