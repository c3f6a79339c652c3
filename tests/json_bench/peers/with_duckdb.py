"""DuckDB: INPUT OUTPUT SHAPE THREADS."""

import os
import sys

import duckdb

source, target, shape, threads = sys.argv[1:5]
database = duckdb.connect(config={"threads": int(threads)})


def cells(name, kind, path):
    """The columns that one column of nested data becomes: members by their own names, arrays as JSON text."""
    if kind.id == "struct":
        for member, of_kind in kind.children:
            yield from cells(f"{name}.{member}", of_kind, f'{path}."{member}"')
    elif kind.id == "list":
        yield f'to_json({path}) AS "{name}"'
    else:
        yield f'{path} AS "{name}"'


records = f"read_json('{source}', format='newline_delimited')"
columns = "*"
if shape == "array":
    records = f"read_json('{source}', format='array')"
elif shape == "wrapped":
    # The whole file is one object, and the default takes objects of 16 MB at most.
    size = os.path.getsize(source) + 1
    records = f"read_json('{source}', maximum_object_size={size})"
    columns = "unnest(items, max_depth := 2)"
elif shape == "late":
    # By default types come from the first 20,480 records, and a key that is not among theirs is an error or lost.
    records = f"read_json('{source}', format='newline_delimited', sample_size=-1)"
elif shape == "wide":
    # By default 200 or more members that could have one type are a MAP, and the record becomes one column of JSON.
    records = f"read_json('{source}', format='newline_delimited', map_inference_threshold=-1)"
elif shape == "nested":
    # SELECT * writes structs in a notation of its own, which is no JSON.
    found = database.sql(f"SELECT * FROM {records}")
    columns = ", ".join(cell for name, kind in zip(found.columns, found.types) for cell in cells(name, kind, f'"{name}"'))

database.execute(f"COPY (SELECT {columns} FROM {records}) TO '{target}' (FORMAT csv, HEADER)")
