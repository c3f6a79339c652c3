"""pandas: INPUT OUTPUT SHAPE."""

import sys

import orjson
import pandas as pd

source, target, shape = sys.argv[1:4]

if shape == "nested":
    # orjson: json_normalize wants objects of Python, and this is the fastest way to them.
    with open(source, "rb") as lines:
        frame = pd.json_normalize([orjson.loads(line) for line in lines])
elif shape == "wrapped":
    with open(source, "rb") as file:
        frame = pd.DataFrame.from_records(orjson.loads(file.read())["items"])
else:
    # Nothing guessed: that is faster, and "01234" stays what it is.
    frame = pd.read_json(source, lines=shape != "array", dtype=False)
frame.to_csv(target, index=False)
