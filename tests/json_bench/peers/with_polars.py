"""Polars: INPUT OUTPUT SHAPE. Its threads come from POLARS_MAX_THREADS."""

import sys

import polars as pl

source, target, shape = sys.argv[1:4]


def flat(frame):
    """Members of structs as columns with dots, lists as JSON text: CSV is refused with either in it."""
    while True:
        schema = frame.collect_schema()
        structs = [name for name, kind in schema.items() if isinstance(kind, pl.Struct)]
        if not structs:
            break
        for name in structs:
            frame = frame.with_columns(pl.col(name).name.prefix_fields(f"{name}.")).unnest(name)
    lists = [name for name, kind in schema.items() if isinstance(kind, pl.List)]
    # Only structs can be encoded, so a list is put into one, whose name and braces are cut off again.
    return frame.with_columns(
        pl.struct(name).struct.json_encode().str.strip_prefix(f'{{"{name}":').str.strip_suffix("}").alias(name)
        for name in lists
    )


if shape == "array":
    pl.read_json(source).write_csv(target)
elif shape == "wrapped":
    pl.read_json(source).select("items").explode("items").unnest("items").write_csv(target)
else:
    # By default types come from the first 100 records, and a key that is not among theirs is lost.
    frame = pl.scan_ndjson(source, infer_schema_length=None if shape == "late" else 100)
    (flat(frame) if shape == "nested" else frame).sink_csv(target)
