"""Runs a peer's script once, in this process, and prints {"seconds": s, "answers": [[..], ..]}: what it says that it took,
and the rows it wrote. Usage: whole.py SCRIPT ARGUMENTS.
"""
import io
import json
import os
import re
import runpy
import sys
import tempfile
from contextlib import redirect_stdout

# Python puts this folder first, whose files have names of packages that others import.
sys.path = [path for path in sys.path if path != os.path.dirname(os.path.abspath(__file__))]
script, *argv = sys.argv[1:]
with tempfile.TemporaryDirectory() as folder:
    out = os.path.join(folder, "out.csv")
    sys.argv = [script, *argv, "out=" + out]
    sys.path.insert(0, os.path.dirname(script))
    printed = io.StringIO()
    with redirect_stdout(printed):
        runpy.run_path(script, run_name="__main__")
    seconds = float(re.search(r"^RESULT compute_s=([0-9.eE+-]+)", printed.getvalue(), re.M).group(1))
    with open(out) as file:
        answers = [[float(cell) for cell in line.split(",")] for line in file if line.strip()]
print(json.dumps({"seconds": seconds, "answers": answers}))
