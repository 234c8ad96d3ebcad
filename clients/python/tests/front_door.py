"""Run against a front door that serves the model `shopper`: python front_door.py URL. Prints one line of JSON."""

import json
import sys
from datetime import datetime, timezone

from hotloop import Hotloop, HotloopError

client = Hotloop(sys.argv[1])
result = {}
answer = client.predict("shopper", entities={"user": "u1"}, request={"price": 2}, want_feature_statuses=True)
result["score"] = answer.score
result["statuses"] = len(answer.feature_statuses)
lines = list(client.predict_batch("shopper", [{"request": {"price": 1}}, {"request": {"price": "x"}}]))
result["batch"] = [one.code if isinstance(one, HotloopError) else one.version for one in lines]
result["outcomes"] = [one.status for one in client.outcomes([{"model": "shopper", "prediction_id": answer.prediction_id, "value": True}])]
now = datetime.now(timezone.utc).isoformat()
result["events"] = client.events([{"specversion": "1.0", "id": "1", "source": "/py", "type": "view", "time": now, "data": {"entity": {"user": "u1"}}}])
try:
    client.predict("nobody")
except HotloopError as error:
    result["error"] = error.code
print(json.dumps(result))
