"""Keeps one Python process alive and runs a rival's own script in it on request, so that our runs and the rival's
alternate within one bench run and the rival is measured warm: imports done, pages and (for Spark) the JVM hot.

Protocol, one JSON document a line: {"script": path, "argv": [..], "out": path} on stdin;
{"seconds": s, "answers": [[..], ..], "result": "RESULT .."} or {"error": text} on stdout. `seconds` is what the
script itself prints as compute_s (data already in memory); `answers` are the rows the script wrote to `out`. A script
that ends with a JSON line of `seconds` and `answers` says both that way.
Invariant: nothing but these documents reaches the real stdout; what scripts print goes to stderr.
"""
import io
import json
import os
import re
import runpy
import sys
import traceback
from contextlib import redirect_stdout

# Python puts this folder first, whose files have names of packages that others import.
sys.path = [path for path in sys.path if path != os.path.dirname(os.path.abspath(__file__))]
channel = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)


def run(request):
    printed = io.StringIO()
    sys.argv = [request["script"], *request["argv"], "out=" + request["out"]]
    # Scripts import their siblings by bare name.
    folder = os.path.dirname(request["script"])
    if folder not in sys.path:
        sys.path.insert(0, folder)
    with redirect_stdout(printed):
        runpy.run_path(request["script"], run_name="__main__")
    text = printed.getvalue()
    last = text.strip().rpartition("\n")[2]
    if last.startswith("{"):
        said = json.loads(last)
        return {"seconds": said["seconds"], "answers": [said["answers"]], "result": last}
    found = re.search(r"^RESULT compute_s=([0-9.eE+-]+).*$", text, re.M)
    if not found:
        return {"error": f"expected a line RESULT compute_s=.., got {text[-2000:]!r}"}
    with open(request["out"]) as file:
        answers = [[float(cell) for cell in line.split(",")] for line in file if line.strip()]
    os.remove(request["out"])
    return {"seconds": float(found.group(1)), "answers": answers, "result": found.group(0)}


for line in sys.stdin:
    try:
        reply = run(json.loads(line))
    except BaseException:
        reply = {"error": traceback.format_exc(limit=-4)}
    channel.write(json.dumps(reply) + "\n")
    channel.flush()
