"""Answers a folder of Parquet files with Ray Data, by the fused file. pip install ray[data] hotloop-spark"""

import sys

import hotloop_spark
import ray


class Score:
    def __init__(self, path: str):
        self._model = hotloop_spark.load(path)

    def __call__(self, frame):
        return frame.join(self._model.answer(frame))


if __name__ == "__main__":
    fused, source, sink = sys.argv[1:4]
    rows = ray.data.read_parquet(source)
    # One worker at least and eight at most: a fixed number would leave a small machine no processor to read and write with.
    answers = rows.map_batches(Score, fn_constructor_args=(fused,), batch_format="pandas", concurrency=(1, 8))
    answers.write_parquet(sink)
