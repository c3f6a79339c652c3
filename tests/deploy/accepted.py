"""What is accepted although a rule or a linter says otherwise: accepted.toml, one by one, each with its reason."""

import tomllib
from pathlib import Path

LIST = tomllib.loads((Path(__file__).parent / "accepted.toml").read_text())


def compare(kind, keys, found):
    """What is found and not accepted, and what is accepted and not found (any more). `found` are dicts with `keys`."""
    entries = LIST.get(kind, [])
    for entry in entries:
        if len(entry.get("reason", "")) < 10:
            yield f"accepted.toml, {kind}: no reason for {entry}"
    accepted = {tuple(entry[key] for key in keys) for entry in entries}
    present = {tuple(one[key] for key in keys): one for one in found}
    for place, one in sorted(present.items()):
        if place not in accepted:
            yield f"{' '.join(place)}: {one.get('says', 'is not accepted')}"
    for place in sorted(accepted - set(present)):
        yield f"{' '.join(place)}: is accepted in accepted.toml, and there is no such thing any more"
