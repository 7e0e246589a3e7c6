"""Writes NAME_X and NAME_y as one Parquet file with a column a feature (x0, x1, .., y): what a frame reads.
usage: matrix-parquet.py DATA_FOLDER NAME OUT"""
import os
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

folder, name, out = sys.argv[1:4]
y = np.fromfile(f"{folder}/{name}_y.bin", "<f8")
x = np.fromfile(f"{folder}/{name}_X.bin", "<f8").reshape(len(y), -1)
table = pa.table([*(pa.array(x[:, j]) for j in range(x.shape[1])), pa.array(y)],
                 names=[*(f"x{j}" for j in range(x.shape[1])), "y"])
pq.write_table(table, out + ".tmp", compression="none", use_dictionary=False, row_group_size=12_500)
os.replace(out + ".tmp", out)
