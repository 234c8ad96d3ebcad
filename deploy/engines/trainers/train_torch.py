"""Trains a PyTorch network for Hotloop: `training: {trainer: {command: [python3, train_torch.py]}}`.

Needs: pip install torch onnx pyarrow
Reads dataset.parquet, settings.json; writes model.onnx, metrics.json. The current folder is the job's.
"""
import json

import pyarrow.parquet as parquet
import torch

FIRST_FEATURE = 10  # prediction_id, row, at, part, label, weight, source, version, group, fold

settings = json.load(open("settings.json"))
torch.manual_seed(int(settings.get("seed") or 0))
table = parquet.read_table("dataset.parquet").to_pandas()
train = table[table["part"] == "training"]  # never touch "holdout": the gate judges on it
features = torch.tensor(train.iloc[:, FIRST_FEATURE:].to_numpy("float32"))
labels = torch.tensor(train["label"].to_numpy("float32")).unsqueeze(1)
weights = torch.tensor(train["weight"].to_numpy("float32")).unsqueeze(1)

network = torch.nn.Sequential(
    torch.nn.Linear(features.shape[1], 32), torch.nn.ReLU(), torch.nn.Linear(32, 1), torch.nn.Sigmoid()
)
optimizer = torch.optim.Adam(network.parameters(), lr=float(settings.get("learning_rate", 1e-2)))
for _ in range(int(settings.get("epochs") or 3)):
    for rows in torch.randperm(len(features)).split(int(settings.get("batch") or 256)):
        optimizer.zero_grad()
        loss = torch.nn.functional.binary_cross_entropy(network(features[rows]), labels[rows], weights[rows])
        loss.backward()
        optimizer.step()

torch.onnx.export(
    network, (features[:1],), "model.onnx", input_names=["input"], output_names=["score"],
    dynamic_axes={"input": {0: "rows"}, "score": {0: "rows"}}, dynamo=False,
)
json.dump({"loss": loss.item()}, open("metrics.json", "w"))
