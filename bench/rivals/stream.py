"""The rivals' `stream.py` for `bench -- stream`, with the Parquet file mapped into memory: Arrow otherwise reads all 2 GB ahead
into memory of its own, and making those pages takes from one second to five, by how the machine has used them before.

Usage: stream.py SCRIPT out=PATH. Timed by SCRIPT itself, which prints seconds, the best penalty's number and its r2.
"""
import io
import re
import runpy
import sys
from contextlib import redirect_stdout
from functools import partial
from unittest import mock

import pyarrow.parquet as pq

script, out = sys.argv[1], sys.argv[2].removeprefix("out=")
printed = io.StringIO()
sys.argv = [script]
with mock.patch.object(pq, "ParquetFile", partial(pq.ParquetFile, memory_map=True)), redirect_stdout(printed):
    runpy.run_path(script, run_name="__main__")
seconds, best, score = re.search(r"^seconds=(\S+) best=(\d+) r2=(?:np\.float64\()?([-+.\de]+)", printed.getvalue(), re.M).groups()
with open(out, "w") as file:
    file.write(f"{best}\n{score}\n")
print(f"RESULT compute_s={seconds}")
