"""The client. Every call has a deadline; failures are `HotloopError`. Standard library alone; pandas where it is asked for."""

from __future__ import annotations

import base64
import json
import os
import secrets
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Iterable, Iterator, Mapping, Optional, Sequence, Union

if TYPE_CHECKING:
    import pandas

Value = Union[float, int, str, bool, Sequence[float], Sequence[str]]
Attributes = Mapping[str, Value]

_TYPES = {".csv": "text/csv", ".jsonl": "application/x-ndjson", ".parquet": "application/vnd.apache.parquet"}


class HotloopError(Exception):
    """A call that failed: gRPC's code by name, a machine-readable reason, and a message for a person."""

    def __init__(self, code: str, message: str, reason: str = "") -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.reason = reason
        self.message = message


@dataclass(frozen=True)
class Ranked:
    id: str
    rank: int
    score: float
    propensity: float


@dataclass(frozen=True)
class Prediction:
    prediction_id: str
    model: str
    version: int
    variant: str
    label: str
    score: float
    scores: list[float]
    ranked: list[Ranked]
    degraded: list[str]
    feature_statuses: list[dict[str, str]] = field(default_factory=list)

    @staticmethod
    def of(reply: Mapping[str, Any]) -> "Prediction":
        decision = reply["decision"]
        return Prediction(
            prediction_id=reply["prediction_id"],
            model=reply["model"],
            version=reply["version"],
            variant=reply["variant"],
            label=decision["label"],
            score=decision["score"],
            scores=decision["scores"],
            ranked=[Ranked(**{name: one[name] for name in ("id", "rank", "score", "propensity")}) for one in decision["ranked"]],
            degraded=reply["degraded"],
            feature_statuses=reply.get("feature_statuses", []),
        )


@dataclass(frozen=True)
class OutcomeResult:
    id: str
    status: str
    detail: str = ""


@dataclass(frozen=True)
class Upload:
    table: str
    version: int
    rows: int
    refused: int
    refused_rows: list[dict[str, Any]]


@dataclass(frozen=True)
class Pushed:
    model: str
    version: int
    created: bool


@dataclass(frozen=True)
class Corrections:
    upload_id: str
    accepted: int
    refused: int
    reply: dict[str, Any]


class Hotloop:
    """A client of one deployment. `url` is the front door over HTTP; `control` is the control API, for models, corrections and datasets."""

    def __init__(
        self,
        url: str = "http://127.0.0.1:7480",
        api_key: Optional[str] = None,
        timeout: float = 10.0,
        retries: int = 3,
        control: str = "http://127.0.0.1:7404",
    ) -> None:
        self._url = url.rstrip("/")
        self._control = control.rstrip("/")
        self._key = api_key
        self._timeout = timeout
        self._retries = retries

    def predict(
        self,
        model: str,
        *,
        entities: Optional[Mapping[str, str]] = None,
        request: Optional[Attributes] = None,
        candidates: Optional[Sequence[Mapping[str, Any]]] = None,
        version: Optional[str] = None,
        prediction_id: Optional[str] = None,
        want_feature_statuses: bool = False,
    ) -> Prediction:
        """One prediction. Retried when Hotloop cannot be reached, with the same prediction_id."""
        body: dict[str, Any] = {"prediction_id": prediction_id or _uuid7()}
        for name, value in (("entities", entities), ("request", request), ("candidates", candidates), ("version", version)):
            if value is not None:
                body[name] = value
        if want_feature_statuses:
            body["want_feature_statuses"] = True
        return Prediction.of(self._json("POST", f"/v1/models/{model}/predict", body))

    def predict_batch(self, model: str, requests: Iterable[Mapping[str, Any]]) -> Iterator[Union[Prediction, HotloopError]]:
        """Predictions in the order of the requests; one that failed is a HotloopError in its place."""
        lines = "".join(json.dumps(request) + "\n" for request in requests).encode()
        with self._open("POST", f"/v1/models/{model}/predict-batch", lines, "application/x-ndjson") as response:
            for line in response:
                answer = json.loads(line)
                if "error" in answer:
                    problem = answer["error"]
                    yield HotloopError(problem["code"], problem["detail"], problem["reason"])
                else:
                    yield Prediction.of(answer)

    def predict_frame(self, model: str, frame: "pandas.DataFrame") -> "pandas.DataFrame":
        """A prediction for each row, whose columns are attributes of the request; missing values are left out."""
        import pandas

        rows = json.loads(frame.to_json(orient="records"))
        requests = ({"request": {name: value for name, value in row.items() if value is not None}} for row in rows)
        answers = list(self.predict_batch(model, requests))
        columns = ["prediction_id", "version", "label", "score", "error"]
        values = [
            [None, None, None, None, str(one)] if isinstance(one, HotloopError) else [one.prediction_id, one.version, one.label, one.score, None]
            for one in answers
        ]
        return pandas.DataFrame(values, columns=columns, index=frame.index)

    def outcomes(self, outcomes: Sequence[Mapping[str, Any]]) -> list[OutcomeResult]:
        """What happened. Each needs `model`, `prediction_id` or `keys`, and `value` or `attributes`; sending an id again counts once."""
        sent = [{"id": str(uuid.uuid4()), **outcome} for outcome in outcomes]
        reply = self._json("POST", "/v1/outcomes", {"outcomes": sent})
        return [OutcomeResult(one["id"], one["status"], one.get("detail", "")) for one in reply["results"]]

    def events(self, events: Sequence[Mapping[str, Any]]) -> int:
        """CloudEvents into history and archive; answers how many were taken in. Raises for the first one refused."""
        reply = self._json("POST", "/v1/events", list(events))
        if reply["refused"]:
            first = reply["refused"][0]
            raise HotloopError("INVALID_ARGUMENT", f"event {first['index']}: {first['detail']}", "malformed_event")
        return int(reply["accepted"])

    def declare_table(self, table: str, schema: Mapping[str, Any]) -> None:
        self._json("PUT", f"/v1/tables/{table}", dict(schema))

    def upload_table(self, table: str, path: str, max_refused: int = 0) -> Upload:
        """Uploads a CSV, JSON lines (.jsonl) or Parquet file as the table's next version."""
        ending = os.path.splitext(path)[1].lower()
        if ending not in _TYPES:
            raise HotloopError("INVALID_ARGUMENT", f"{path} must end in {', '.join(_TYPES)}")
        with open(path, "rb") as file:
            body = file.read()
        with self._open("POST", f"/v1/tables/{table}/versions?max_refused={max_refused}", body, _TYPES[ending]) as response:
            return Upload(**json.load(response))

    def push(self, manifest: str, onnx: Optional[str] = None, *, untrained: bool = False, note: str = "") -> Pushed:
        """Registers the next version of a model from model.yaml and, unless its network is declared there, model.onnx. It serves once promoted."""
        with open(manifest, "rb") as file:
            yaml = file.read()
        weights = b""
        if onnx is not None:
            with open(onnx, "rb") as file:
                weights = file.read()
        query = {"manifest": base64.urlsafe_b64encode(yaml).rstrip(b"=").decode(), "note": note, "untrained": str(untrained).lower()}
        reply = self._send_control("POST", "/v1/models/push", weights, query)
        return Pushed(reply["model"], reply["version"], reply["created"])

    def corrections(self, model: str, rows: "Union[pandas.DataFrame, str]", *, note: str = "") -> Corrections:
        """Uploads corrections, a data frame or the path of a CSV, JSON lines or Parquet file: `prediction_id` (or features) and `label`. They are checked row by row; `approve` makes them count."""
        if isinstance(rows, str):
            with open(rows, "rb") as file:
                body = file.read()
        else:
            body = rows.to_csv(index=False).encode()
        reply = self._send_control("POST", f"/v1/models/{model}/corrections/file", body, {"note": note})
        return Corrections(reply["uploadId"], reply["accepted"], reply["refused"], reply)

    def approve(self, upload_id: str) -> dict[str, Any]:
        """Lets uploaded corrections count."""
        return dict(self._json("POST", f"/v1/corrections/{upload_id}/approve", {}, control=True))

    def datasets(self, model: Optional[str] = None) -> "pandas.DataFrame":
        """What versions were trained on, newest first."""
        import pandas

        path = "/v1/datasets" + (f"?model={urllib.parse.quote(model)}" if model else "")
        return pandas.DataFrame(self._get_control(path)["datasets"])

    def dataset(self, sha256: str) -> "pandas.DataFrame":
        """The rows of a dataset; needs pandas with pyarrow."""
        return self._parquet(f"/v1/datasets/{sha256}/file")

    def predictions(self, model: str, **filters: str) -> "pandas.DataFrame":
        """Logged predictions with features, outputs and labels. Filters as in GET /v1/models/{model}/predictions/file, such as from_="2026-01-15T00:00:00Z", suspected="true"."""
        query = urllib.parse.urlencode({"format": "parquet", **{name.rstrip("_"): value for name, value in filters.items()}})
        return self._parquet(f"/v1/models/{model}/predictions/file?{query}")

    def _parquet(self, path: str) -> "pandas.DataFrame":
        import io

        import pandas

        with self._open("GET", path, None, "", control=True) as response:
            return pandas.read_parquet(io.BytesIO(response.read()))

    def _get_control(self, path: str) -> Any:
        with self._open("GET", path, None, "", control=True) as response:
            return json.load(response)

    def _send_control(self, method: str, path: str, body: bytes, query: Mapping[str, str]) -> Any:
        whole = f"{path}?{urllib.parse.urlencode(query)}"
        with self._open(method, whole, body, "application/octet-stream", control=True) as response:
            return json.load(response)

    def _json(self, method: str, path: str, body: Any, control: bool = False) -> Any:
        data = json.dumps(body, allow_nan=False).encode()
        with self._open(method, path, data, "application/json", control=control) as response:
            return json.load(response)

    def _open(self, method: str, path: str, body: Optional[bytes], content_type: str, control: bool = False) -> Any:
        headers = {"content-type": content_type} if content_type else {}
        base = self._control if control else self._url
        if self._key is not None:
            headers["authorization"] = f"Bearer {self._key}"
        end = time.monotonic() + self._timeout
        for attempt in range(self._retries + 1):
            request = urllib.request.Request(base + path, body, headers, method=method)
            try:
                return urllib.request.urlopen(request, timeout=max(0.1, end - time.monotonic()))
            except urllib.error.HTTPError as error:
                failure = _problem(error)
            except OSError as error:
                failure = HotloopError("UNAVAILABLE", f"nothing answers at {base} ({error})")
            pause = 0.05 * 2**attempt
            if failure.code != "UNAVAILABLE" or attempt == self._retries or time.monotonic() + pause > end:
                raise failure
            time.sleep(pause)
        raise AssertionError("unreachable")


def _problem(error: urllib.error.HTTPError) -> HotloopError:
    try:
        problem = json.load(error)
        return HotloopError(problem["code"], problem["detail"], problem.get("reason", ""))
    except (ValueError, KeyError, TypeError):
        return HotloopError("UNKNOWN", f"the service answered {error.code}")


def _uuid7() -> str:
    value = (int(time.time() * 1000) << 80) | secrets.randbits(80)
    value = (value & ~(0xF << 76)) | (0x7 << 76)
    value = (value & ~(0x3 << 62)) | (0x2 << 62)
    return str(uuid.UUID(int=value))
