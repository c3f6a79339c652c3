"""A CloudFormation template as data: short forms (!Ref) become long ones, and questions that several rules ask."""

import copy
import functools
import itertools
import json
import re
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
PATH = ROOT / "deploy" / "outport.yaml"


class _Loader(yaml.SafeLoader):
    """YAML with CloudFormation's tags. Aliases are refused: CloudFormation does not know them."""

    def compose_node(self, parent, index):
        if self.check_event(yaml.AliasEvent):
            raise ValueError(f"line {self.peek_event().start_mark.line + 1}: CloudFormation knows no YAML aliases")
        return super().compose_node(parent, index)

    def construct_mapping(self, node, deep=False):
        seen = set()
        for key, _ in node.value:
            if key.value in seen:
                raise ValueError(f"line {key.start_mark.line + 1}: {key.value} stands twice")
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def _tag(loader, suffix, node):
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)
    if suffix == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}": value}


_Loader.add_multi_constructor("!", _tag)


@functools.cache
def _read():
    with open(PATH, encoding="utf-8") as file:
        return yaml.load(file, _Loader)  # noqa: S506 (a SafeLoader)


def load():
    """The template, to be changed at will: reading it takes 0.3 s, and there are some 140 tests."""
    return copy.deepcopy(_read())


def text(node):
    """One string for a node, to look for words in it and to name it: `${Bucket.Arn}/*`, `Ref Key`."""
    if isinstance(node, str):
        return node
    if isinstance(node, dict) and len(node) == 1:
        (function, value), = node.items()
        if function == "Ref":
            return "${" + str(value) + "}"
        if function == "Fn::GetAtt":
            return "${" + ".".join(value) + "}"
        if function == "Fn::Sub":
            return value if isinstance(value, str) else value[0]
    return json.dumps(node, sort_keys=True)


def walk(node, path=()):
    """Every node with its path."""
    yield path, node
    if isinstance(node, dict):
        for key, value in node.items():
            yield from walk(value, (*path, str(key)))
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from walk(value, (*path, str(index)))


def as_list(value):
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


class Template:
    def __init__(self, document):
        self.document = document
        self.parameters = document.get("Parameters", {})
        self.resources = document["Resources"]

    def of(self, *types):
        """(name, resource) of each resource of these types."""
        return [(name, r) for name, r in self.resources.items() if r["Type"] in types]

    def properties(self, name):
        return self.resources[name].get("Properties", {})

    def branches(self, items):
        """The items of a list, both sides of each Fn::If, without AWS::NoValue."""
        for item in as_list(items):
            if isinstance(item, dict) and set(item) == {"Fn::If"}:
                yield from self.branches(item["Fn::If"][1:])
            elif item != {"Ref": "AWS::NoValue"}:
                yield item

    def statements(self, document):
        return list(self.branches(document["Statement"]))

    def possible(self, *nodes):
        """What the nodes can be together, one tuple for each choice of the parameters they depend on."""
        names = sorted({n["Ref"] for node in nodes for _, n in walk(node) if isinstance(n, dict) and "Ref" in n} & set(self.parameters))
        choices = []
        for name in names:
            parameter = self.parameters[name]
            choices.append(parameter.get("AllowedValues") or [v for k, v in parameter.items() if k in ("Default", "MinValue", "MaxValue")])
        for chosen in itertools.product(*choices):
            values = dict(zip(names, chosen))
            yield tuple(self._resolved(node, values) for node in nodes)

    def _resolved(self, node, values):
        if isinstance(node, dict) and len(node) == 1:
            (function, value), = node.items()
            if function == "Ref" and value in values:
                return values[value]
            if function == "Fn::FindInMap":
                table, first, second = (self._resolved(v, values) for v in value)
                return self.document["Mappings"][table][first][second]
        return node


PLACEHOLDER = re.compile(r"\$\{[^}]*\}")
