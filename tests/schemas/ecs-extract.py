#!/usr/bin/env python3
"""Makes ecs-<version>.json from the field list that Elastic publishes: names, types, and the values that are allowed.

    ecs-extract.py generated/ecs/ecs_flat.yml VERSION > ecs-VERSION.json

The list is part of the repository elastic/ecs, tag v<version>, under the Apache License 2.0. Nothing of its prose is taken. Needs
PyYAML, which the tests do not.
"""

import json
import sys

import yaml


def main():
    path, version = sys.argv[1:]
    with open(path, encoding="utf-8") as file:
        fields = yaml.safe_load(file)
    types, lists, allowed, expected = {}, [], {}, {}
    for name, field in sorted(fields.items()):
        types.setdefault(field["type"], []).append(name)
        if "array" in field.get("normalize", []):
            lists.append(name)
        values = field.get("allowed_values")
        if values:
            allowed[name] = [value["name"] for value in values]
        if name == "event.category":
            expected = {value["name"]: value.get("expected_event_types", []) for value in values}
    print("{")
    print(' "source": "elastic/ecs, generated/ecs/ecs_flat.yml",')
    print(f' "version": {json.dumps(version)},')
    print(' "licence": "Apache-2.0",')
    print(f' "allowed": {json.dumps(allowed)},')
    print(f' "expected_types": {json.dumps(expected)},')
    print(f' "lists": {json.dumps(lists)},')
    print(' "types": {')
    print(",\n".join(f"  {json.dumps(kind)}: {json.dumps(names)}" for kind, names in sorted(types.items())))
    print(" }\n}")


main()
