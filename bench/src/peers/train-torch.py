"""The other side of `npm run bench -- train`: the same networks, weights and batches in PyTorch, eager, one thread.

Reads one JSON document on stdin: {kind, sizes, batch, steps, rate, weights: {name: [..]}, x: [..], y: [..], seconds}; prints
{gradient: {name: [..]}, curve: [..], samples_per_second}.
"""

import json
import sys
import time

import torch
from torch import nn

torch.set_num_threads(1)
job = json.load(sys.stdin)
sizes = job["sizes"]


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(sizes["inputs"], sizes["hidden"], batch_first=True)
        self.head = nn.Linear(sizes["hidden"], 1)

    def forward(self, x):
        return self.head(self.lstm(x)[0][:, -1])


def network():
    if job["kind"] == "mlp":
        widths = sizes["widths"]
        layers = []
        for fan_in, fan_out in zip(widths, widths[1:]):
            layers += [nn.Linear(fan_in, fan_out), nn.ReLU()]
        return nn.Sequential(*layers[:-1]), (widths[0],)
    if job["kind"] == "conv":
        c, side = sizes["channels"], sizes["side"]
        body = [nn.Conv2d(1, c, 3, padding=1), nn.ReLU(), nn.Conv2d(c, c, 3, padding=1), nn.ReLU()]
        body += [nn.Conv2d(c, c, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(c, 1)]
        return nn.Sequential(*body), (1, side, side)
    return Recurrent(), (sizes["steps"], sizes["inputs"])


net, shape = network()
with torch.no_grad():
    for name, parameter in net.named_parameters():
        parameter.copy_(torch.tensor(job["weights"][name], dtype=torch.float32).reshape(parameter.shape))
x = torch.tensor(job["x"], dtype=torch.float32).reshape(-1, *shape)
y = torch.tensor(job["y"], dtype=torch.float32).reshape(-1, 1)
batch, count = job["batch"], x.shape[0] // job["batch"]
loss_of = nn.BCEWithLogitsLoss()
optimizer = torch.optim.Adam(net.parameters(), lr=job["rate"])


def step(i):
    at = (i % count) * batch
    optimizer.zero_grad()
    loss = loss_of(net(x[at : at + batch]), y[at : at + batch])
    loss.backward()
    optimizer.step()
    return loss.item()


loss_of(net(x[:batch]), y[:batch]).backward()
gradient = {name: parameter.grad.flatten().tolist() for name, parameter in net.named_parameters()}
curve = [step(i) for i in range(job["steps"])]
start, done = time.perf_counter(), 0
while time.perf_counter() - start < job["seconds"]:
    step(done)
    done += 1
print(json.dumps({"gradient": gradient, "curve": curve, "samples_per_second": done * batch / (time.perf_counter() - start)}))
