"""MLlib's CrossValidator on a folder of Parquet files (x0 .., y), a penalty at a time: a line PENALTY after each one.

Contiguous folds in the order of the files' rows, by foldCol. MLlib divides the penalty by the deviation of the target,
which is put right for all rows; it drifts a little with each training fold. Arguments: folder=, k=, nreg=, scratch=, heap=.
"""
import os
import sys
from itertools import chain

from pyspark.ml.evaluation import RegressionEvaluator
from pyspark.ml.feature import VectorAssembler
from pyspark.ml.regression import LinearRegression
from pyspark.ml.tuning import CrossValidator, ParamGridBuilder
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

given = dict(one.split("=", 1) for one in sys.argv[1:])
k, n = int(given["k"]), int(given["nreg"])
spark = (
    SparkSession.builder.master("local[2]")
    .config("spark.driver.memory", given["heap"])
    .config("spark.ui.enabled", "false")
    .config("spark.local.dir", given["scratch"])
    .getOrCreate()
)
spark.sparkContext.setLogLevel("ERROR")
folder = "file://" + os.path.abspath(given["folder"])
files = spark.read.parquet(folder).select("*", F.col("_metadata.file_name").alias("file"), F.col("_metadata.row_index").alias("at"))
first, rows = {}, 0
for row in files.groupBy("file").count().orderBy("file").collect():
    first[row["file"]] = rows
    rows += row["count"]
offsets = F.create_map(*[F.lit(cell) for cell in chain.from_iterable(first.items())])
columns = [name for name in files.columns if name not in ("y", "file", "at")]
folds = files.withColumn("fold", F.floor((offsets[F.col("file")] + F.col("at")) / F.lit(rows // k)).cast("int"))
data = VectorAssembler(inputCols=columns, outputCol="features").transform(folds)
data = data.select("features", F.col("y").alias("label"), "fold").cache()
deviation = data.select(F.stddev_pop("label")).first()[0]
print("DATA", data.count(), flush=True)
train = rows - rows // k
regression = LinearRegression(solver="normal", fitIntercept=False, standardization=False, elasticNetParam=0.0)
for h in range(n):
    penalty = 10 ** (-3.0 + 9.0 * h / (n - 1))
    grid = ParamGridBuilder().addGrid(regression.regParam, [penalty / train * deviation]).build()
    model = CrossValidator(
        estimator=regression, estimatorParamMaps=grid, evaluator=RegressionEvaluator(metricName="mse"),
        numFolds=k, foldCol="fold", parallelism=1,
    ).fit(data)
    print("PENALTY", h + 1, repr(float(model.avgMetrics[0])), flush=True)
spark.stop()
