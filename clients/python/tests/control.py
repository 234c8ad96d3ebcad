"""Run against a control API: python control.py URL FOLDER. Prints one line of JSON. Data frames are tried where pandas is installed."""

import json
import os
import sys

from hotloop import Hotloop, HotloopError

url, folder = sys.argv[1], sys.argv[2]
client = Hotloop(control=url)
manifest = os.path.join(folder, "model.yaml")
with open(manifest, "w") as file:
    file.write("name: from-python\ntask: binary\nfeatures: [{name: x, from: request.x}]\n")
first = client.push(manifest)
again = client.push(manifest)
result = {"pushed": [first.model, first.version, first.created, again.created]}
corrections = os.path.join(folder, "corrections.csv")
with open(corrections, "w") as file:
    file.write("x,label\n1,1\n2,0\nmany,1\n")
staged = client.corrections("from-python", corrections, note="from a test")
result["corrections"] = [staged.accepted, staged.refused]
result["approved"] = client.approve(staged.upload_id)["state"]
try:
    client.push(manifest.replace("model", "none"))
except FileNotFoundError:
    result["missing"] = "told"
try:
    client.corrections("nobody", corrections)
except HotloopError as error:
    result["unknown"] = error.code
try:
    import pandas  # noqa: F401

    result["datasets"] = len(client.datasets("from-python"))
except ImportError:
    result["datasets"] = -1
print(json.dumps(result))
