"""Answers the rows of a Parquet file with Spark, in SQL and by mapInPandas, and says how far they are from expected scores.

Usage: check_spark.py FUSED.onnx ROWS.parquet   (ROWS has the model's columns, `id` and `expected`)
Prints one line of JSON: {"rows": ..., "sql_difference": ..., "map_difference": ...}
"""

import json
import os
import sys

from pyspark.sql import SparkSession
from pyspark.sql.functions import abs as magnitude
from pyspark.sql.functions import col
from pyspark.sql.functions import max as largest

import hotloop_spark

path, rows = sys.argv[1:3]
# Without it the workers run the python3 of the PATH, which may lack pandas.
os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
spark = SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false").getOrCreate()
spark.sparkContext.setLogLevel("ERROR")
frame = spark.read.parquet(rows)
frame.createOrReplaceTempView("sessions")
columns = hotloop_spark.register(spark, "purchase_intent", path)
call = f"purchase_intent({', '.join(f'`{name}`' for name in columns)})"
(sql_difference, count) = spark.sql(f"SELECT max(abs({call} - expected)), count({call}) FROM sessions").first()
answers = frame.mapInPandas(
    hotloop_spark.map_in_pandas(path, ["id", "expected"]),
    hotloop_spark.output_schema("id long, expected double"),
)
map_difference = answers.select(largest(magnitude(col("score") - col("expected")))).first()[0]
print(json.dumps({"rows": count, "sql_difference": sql_difference, "map_difference": map_difference}))
spark.stop()
