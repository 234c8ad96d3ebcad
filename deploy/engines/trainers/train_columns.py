"""Trains a scikit-learn pipeline with one ONNX input a column, texts among them, for Hotloop:
`training: {trainer: {command: [python3, train_columns.py]}}`.

Needs: pip install scikit-learn skl2onnx pyarrow pandas
Each feature of model.yaml names its own `input`; texts have `type: text`. Reads dataset.parquet, settings.json; writes model.onnx,
metrics.json. The current folder is the job's.
"""
import json

import numpy as np
import pyarrow.parquet as parquet
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType, StringTensorType
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

FIRST_FEATURE = 10  # prediction_id, row, at, part, label, weight, source, version, group, fold

settings = json.load(open("settings.json"))
table = parquet.read_table("dataset.parquet").to_pandas()
train = table[table["part"] == "training"]  # never touch "holdout": the gate judges on it
features = train.iloc[:, FIRST_FEATURE:]
# One column for each input, in the order of the dataset.
features.columns = [one["name"] for one in settings["inputs"]]
texts = [one["name"] for one in settings["inputs"] if one["dtype"] == "string"]
numbers = [name for name in features.columns if name not in texts]
labels = (train["label"].to_numpy() > 0.5).astype(np.int64)

model = make_pipeline(
    make_column_transformer((OneHotEncoder(handle_unknown="ignore"), texts), (StandardScaler(), numbers)),
    LogisticRegression(max_iter=1000),
)
model.fit(features, labels, logisticregression__sample_weight=train["weight"].to_numpy())

types = [(name, (StringTensorType if name in texts else FloatTensorType)([None, 1])) for name in features.columns]
onnx = to_onnx(model, initial_types=types, options={"zipmap": False}, target_opset={"": 17, "ai.onnx.ml": 3})
del onnx.graph.output[0]  # the label; the decision makes its own
open("model.onnx", "wb").write(onnx.SerializeToString())
json.dump({"loss": float(log_loss(labels, model.predict_proba(features)))}, open("metrics.json", "w"))
