"""Hotloop models in Spark: a fused file (``hotloop model export MODEL --fused``) as SQL function and as mapInPandas.

A fused file takes the raw fields of a request and returns the decision, so the answers are those of the front door and of
``hotloop batch``: the same columns ``label``, ``score``, ``model`` and ``version``. Each Python worker loads the file once.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import urllib.request
from collections.abc import Iterator
from functools import lru_cache

import numpy as np
import onnxruntime
import pandas as pd

__all__ = ["FusedModel", "load", "map_in_pandas", "output_schema", "register"]

ABSENT_TEXT = "\x1a"
# Numbers at once between features and network, so that words hashed into thousands of columns fit into memory.
_MOST_CELLS = 16 * 1024 * 1024
_TYPES = {"float64": np.float64, "float32": np.float32, "bool": np.bool_, "int8": np.int8}


class FusedModel:
    """A fused file, loaded. ``answer`` takes one column for each input."""

    def __init__(self, path: str):
        path = _local(path)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        metadata = self._session.get_modelmeta().custom_metadata_map
        self.model = metadata["hotloop.model"]
        self.version = int(metadata["hotloop.version"])
        self.inputs = json.loads(metadata["hotloop.inputs"])
        self._rows_at_once = max(1, _MOST_CELLS // int(metadata.get("hotloop.columns", 1)))
        self.outputs = [output.name for output in self._session.get_outputs()]
        wide = [each["name"] for each in self.inputs if each["width"] != 1]
        if wide:
            raise ValueError(f"{self.model}: {', '.join(wide)} hold several values; ask the front door")

    @property
    def columns(self) -> list[str]:
        """The columns of a table that the inputs read: ``request.price`` is ``price``."""
        return [_column(each["name"]) for each in self.inputs]

    def answer(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Answers all rows of a frame. A refused row has a null score and label."""
        starts = range(0, max(1, len(frame)), self._rows_at_once)
        return pd.concat([self._answer(frame.iloc[at : at + self._rows_at_once]) for at in starts])

    def _answer(self, frame: pd.DataFrame) -> pd.DataFrame:
        feeds = {each["name"]: _tensor(each, frame, _column(each["name"])) for each in self.inputs}
        refused = np.zeros(len(frame), dtype=bool)
        for each in self.inputs:
            name = _column(each["name"])
            if each["type"] == "bool" and name in frame:
                refused |= frame[name].isna().to_numpy()
        found = dict(zip(self.outputs, self._session.run(self.outputs, feeds), strict=True))
        accepted = found["accepted"][:, 0] & ~refused
        answer = pd.DataFrame({"score": np.where(accepted, found["score"][:, 0], np.nan)}, index=frame.index)
        label = found.get("label")
        answer["label"] = None if label is None else np.where(accepted, label[:, 0], None)
        answer["model"] = self.model
        answer["version"] = np.int32(self.version)
        return answer


@lru_cache(maxsize=8)
def load(path: str) -> FusedModel:
    """Loads a file once for each Python worker."""
    return FusedModel(path)


def register(spark, name: str, path: str) -> list[str]:
    """Makes ``name(column, ...)`` a SQL function that gives the score. Returns the columns in the order it takes them."""
    from pyspark.sql.functions import pandas_udf
    from pyspark.sql.types import DoubleType

    columns = FusedModel(path).columns

    def score(*series: pd.Series) -> pd.Series:
        frame = pd.DataFrame(dict(zip(columns, series, strict=True)))
        return load(path).answer(frame)["score"]

    # Spark reads the kind of function from its annotations, which `from __future__ import annotations` leaves as texts.
    score.__annotations__ = {"series": pd.Series, "return": pd.Series}
    spark.udf.register(name, pandas_udf(score, DoubleType()))
    return columns


def output_schema(keep: str) -> str:
    """The schema of ``map_in_pandas``: what is kept, such as ``"id long"``, and the answer."""
    return ", ".join([*([keep] if keep else []), "score double", "label string", "model string", "version int"])


def map_in_pandas(path: str, keep: list[str]):
    """A function for ``DataFrame.mapInPandas``: keeps some columns and adds the answer."""

    def run(frames: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        for frame in frames:
            yield pd.concat([frame[keep], load(path).answer(frame)], axis=1)

    return run


def _local(path: str) -> str:
    """A file as it is; of an address, a copy that this machine fetches once. Name a version by its number: a copy is not looked at again."""
    if not path.startswith(("http://", "https://")):
        return path
    copy = os.path.join(tempfile.gettempdir(), f"hotloop-{hashlib.sha256(path.encode()).hexdigest()[:32]}.onnx")
    if os.path.exists(copy):
        return copy
    key = os.environ.get("HOTLOOP_API_KEY")
    request = urllib.request.Request(path, headers={} if key is None else {"authorization": f"Bearer {key}"})
    with urllib.request.urlopen(request, timeout=60) as answer, tempfile.NamedTemporaryFile(
        dir=os.path.dirname(copy), delete=False
    ) as file:
        file.write(answer.read())
    os.replace(file.name, copy)
    return copy


def _column(name: str) -> str:
    prefix, _, rest = name.partition(".")
    return rest if prefix in ("request", "item", "entity") else name


def _tensor(spec: dict, frame: pd.DataFrame, name: str) -> np.ndarray:
    rows = len(frame)
    series = frame[name] if name in frame else pd.Series([None] * rows, dtype=object)
    if spec["type"] == "string":
        values = series.astype(object).where(series.notna(), ABSENT_TEXT).to_numpy(dtype=object)
        return values.reshape(rows, 1)
    kind = _TYPES[spec["type"]]
    if spec["type"] == "int8":
        return series.map(lambda value: -1 if pd.isna(value) else int(value)).to_numpy(dtype=kind).reshape(rows, 1)
    if spec["type"] == "bool":
        return series.map(lambda value: bool(value) if pd.notna(value) else False).to_numpy(dtype=kind).reshape(rows, 1)
    return pd.to_numeric(series).to_numpy(dtype=kind, na_value=np.nan).reshape(rows, 1)
