"""Writes the networks that the tests fine-tune: pip install torch onnx onnxscript scikit-learn skl2onnx; python make-networks.py

Small on purpose: what matters is how the exporters write them. Each takes input [N, ...] and gives one value or class
probabilities.
"""

import numpy as np
import onnx
import torch
from skl2onnx import to_onnx
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

torch.manual_seed(1)


class Cnn(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(4, 6, 3, stride=2, padding=1), nn.GELU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        )
        self.head = nn.Linear(6, 3)

    def forward(self, x):
        return torch.softmax(self.head(self.body(x)), 1)


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(3, 6, batch_first=True)
        self.head = nn.Linear(6, 1)

    def forward(self, x):
        states, _ = self.lstm(x)
        return torch.sigmoid(self.head(states[:, -1]))


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Linear(3, 8)
        layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.1, batch_first=True, activation="gelu")
        self.encoder = nn.TransformerEncoder(layer, 1, enable_nested_tensor=False)
        self.head = nn.Linear(8, 1)

    def forward(self, x):
        return torch.sigmoid(self.head(self.encoder(self.embed(x)).mean(1)))


networks = {
    "perceptron": (nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1), nn.Sigmoid()), (4,)),
    "cnn": (Cnn(), (1, 8, 8)),
    "lstm": (Recurrent(), (5, 3)),
    "encoder": (Encoder(), (5, 3)),
}
for name, (network, shape) in networks.items():
    network.eval()
    torch.onnx.export(
        network, (torch.randn(2, *shape),), f"{name}.onnx", input_names=["input"], output_names=["out"], opset_version=18,
        dynamic_shapes=[{0: torch.export.Dim("N")}], external_data=False, dynamo=True, do_constant_folding=True,
    )

generator = np.random.default_rng(1)
x = generator.standard_normal((200, 4)).astype(np.float32)
mlp = MLPClassifier((8,), activation="relu", max_iter=20, random_state=1).fit(x, (x[:, 0] + x[:, 1] > 0).astype(int))
exported = to_onnx(mlp, x[:1], options={"zipmap": False}, target_opset=17)
with open("sklearn-mlp.onnx", "wb") as file:
    file.write(exported.SerializeToString())
# As most people write it: the scaler becomes an operator of ai.onnx.ml.
pipeline = make_pipeline(StandardScaler(), mlp).fit(3 * x + 1, (x[:, 0] + x[:, 1] > 0).astype(int))
exported = to_onnx(pipeline, x[:1], options={id(pipeline): {"zipmap": False}}, target_opset=17)
with open("sklearn-pipeline.onnx", "wb") as file:
    file.write(exported.SerializeToString())


def without_comments(path):
    """Drops where in the Python source each node came from: nine tenths of the file."""
    model = onnx.load(path)
    values = [*model.graph.value_info, *model.graph.input, *model.graph.output, *model.graph.initializer]
    for part in [model, model.graph, *model.graph.node, *values]:
        del part.metadata_props[:]
        part.doc_string = ""
    onnx.save(model, path)


for name in [*networks, "sklearn-mlp", "sklearn-pipeline"]:
    without_comments(f"{name}.onnx")
