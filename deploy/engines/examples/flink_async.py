"""Answers the rows of a Flink SQL table by asynchronous calls of the Open Inference Protocol. pip install apache-flink (needs Java)

Usage: flink_async.py http://COMPUTE:8000 MODEL ROWS.jsonl   (each line: {"id": 1, "a": 0.1, "b": 0.2, "c": 0.3})
The model takes one matrix: the columns, in their order. Prints one line of JSON for each row.

An asynchronous SQL function would be shorter, but in Flink 2.3 Python's reads its arguments after the next row has taken their place.
"""

import asyncio
import json
import sys
import urllib.request

from pyflink.common import Row, Time, Types
from pyflink.datastream import AsyncDataStream, AsyncFunction, AsyncRetryStrategy, StreamExecutionEnvironment
from pyflink.table import StreamTableEnvironment

COLUMNS = ("a", "b", "c")
IN_FLIGHT = 100


class Infer(AsyncFunction):
    """Adds the first number of the model's first output."""

    def __init__(self, server: str, model: str):
        self._server, self._model = server, model

    def open(self, context):
        with urllib.request.urlopen(f"{self._server}/v2/models/{self._model}", timeout=10) as answer:
            self._input = json.load(answer)["inputs"][0]["name"]

    async def async_invoke(self, row: Row):
        return [Row(row.id, await asyncio.to_thread(self._ask, [getattr(row, name) for name in COLUMNS]))]

    def _ask(self, values):
        tensor = {"name": self._input, "datatype": "FP32", "shape": [1, len(values)], "data": values}
        request = urllib.request.Request(
            f"{self._server}/v2/models/{self._model}/infer",
            json.dumps({"inputs": [tensor]}).encode(),
            {"content-type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            return float(json.load(answer)["outputs"][0]["data"][0])


if __name__ == "__main__":
    server, model, rows = sys.argv[1:4]
    environment = StreamExecutionEnvironment.get_execution_environment()
    environment.set_parallelism(1)
    environment.set_python_executable(sys.executable)
    tables = StreamTableEnvironment.create(environment)
    tables.execute_sql(
        f"""CREATE TABLE sessions (id BIGINT, a DOUBLE, b DOUBLE, c DOUBLE)
            WITH ('connector' = 'filesystem', 'path' = '{rows}', 'format' = 'json')"""
    )
    answers = AsyncDataStream.unordered_wait_with_retry(
        data_stream=tables.to_data_stream(tables.from_path("sessions")),
        async_function=Infer(server, model),
        timeout=Time.seconds(30),
        async_retry_strategy=AsyncRetryStrategy.fixed_delay(
            max_attempts=3,
            backoff_time_millis=500,
            result_predicate=None,
            exception_predicate=lambda error: isinstance(error, OSError),
        ),
        capacity=IN_FLIGHT,
        output_type=Types.ROW_NAMED(["id", "score"], [Types.LONG(), Types.DOUBLE()]),
    )
    tables.create_temporary_view("answers", tables.from_data_stream(answers))
    for row in tables.execute_sql("SELECT id, score FROM answers").collect():
        print(json.dumps({"id": row[0], "score": row[1]}))
