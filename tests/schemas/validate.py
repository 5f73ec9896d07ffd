#!/usr/bin/env python3
"""Judges rendered events by what others publish. Each line of the input is {"schema": "ocsf" or "ecs", "event": {…}, "of": …}.

OCSF: the published export of schema 1.8.0, made into JSON Schemas by the package ocsf-json-schema (types, required attributes, enums,
at_least_one and just_one, no attribute that is not known, at any depth) and judged by the package jsonschema. Beside that: no deprecated
attribute is used, and each text beside a number is the number's caption.

ECS: the published field list (ecs-9.4.0.json, made by ecs-extract.py) made into one JSON Schema: every key is known or under a name of
the engine's or ours, types and lists are right, categories and types are allowed, and each type is expected of one of the categories.

Prints each error, then how many events were judged, and ends with 1 where there was an error.
"""

import ipaddress
import json
import re
import sys
from collections import Counter
from functools import cache

from jsonschema import Draft202012Validator, FormatChecker
from ocsf_json_schema import OcsfJsonSchema, get_ocsf_schema
from referencing import Registry, Resource

OCSF_VERSION = "1.8.0"
ECS = "tests/schemas/ecs-9.4.0.json"
# Where Beats and Elastic's integrations have an engine's own fields, and where ours are.
OWN = ["sealtrail", "postgresql", "mysql", "mongodb", "oracle", "sqlserver"]

CHECKER = FormatChecker(formats=())


@CHECKER.checks("ip", raises=ValueError)
def is_ip(text):
    return bool(ipaddress.ip_address(text))


@CHECKER.checks("utc", raises=ValueError)
def is_utc(text):
    return bool(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z", text))


class Ocsf:
    def __init__(self):
        self.published = get_ocsf_schema(version=OCSF_VERSION)
        assert self.published["version"] == OCSF_VERSION
        self.maker = OcsfJsonSchema(self.published)
        self.validators = {}

    def validator(self, name, profiles):
        key = (name, *profiles)
        if key not in self.validators:
            schema = self.maker.get_class_schema(name, list(profiles))
            self.validators[key] = Draft202012Validator(schema, registry=self.objects(tuple(profiles)))
        return self.validators[key]

    @cache
    def objects(self, profiles):
        """All of them at once: one that is looked up later would be made again for each event."""
        schemas = (self.maker.get_object_schema(name, list(profiles)) for name in self.published["objects"])
        return Registry().with_resources((schema["$id"], Resource.from_contents(schema)) for schema in schemas).crawl()

    def errors(self, event):
        name = self.maker.lookup_class_name_from_uid(event.get("class_uid"))
        profiles = event.get("metadata", {}).get("profiles", [])
        for error in self.validator(name, profiles).iter_errors(event):
            yield f"{error.json_path}: {error.message[:300]}"
        kind = self.published["classes"][name]
        unknown = set(profiles) - set(kind["profiles"])
        if unknown:
            yield f"{name} has no profile {unknown}"
        if event["category_uid"] != kind["category_uid"]:
            yield "category_uid"
        yield from self.words(kind, event, "$")

    def words(self, kind, value, path):
        for name, inner in value.items():
            attribute = kind["attributes"].get(name)
            if attribute is None:
                continue
            if "@deprecated" in attribute:
                yield f"{path}.{name} is deprecated"
            sibling = attribute.get("sibling")
            caption = attribute.get("enum", {}).get(str(inner), {}).get("caption") if sibling else None
            if caption and sibling in value and inner != 99 and value[sibling] != caption:
                yield f"{path}.{sibling}: {value[sibling]!r} is not {caption!r}"
            if attribute.get("object_type"):
                object_kind = self.published["objects"][attribute["object_type"]]
                for item in inner if isinstance(inner, list) else [inner]:
                    if isinstance(item, dict) and object_kind["attributes"]:
                        yield from self.words(object_kind, item, f"{path}.{name}")


class Ecs:
    TYPES = {
        "keyword": {"type": "string"},
        "constant_keyword": {"type": "string"},
        "wildcard": {"type": "string"},
        "match_only_text": {"type": "string"},
        "long": {"type": "integer", "minimum": -(2**63), "maximum": 2**63 - 1},
        "integer": {"type": "integer", "minimum": -(2**31), "maximum": 2**31 - 1},
        "float": {"type": "number"},
        "double": {"type": "number"},
        "scaled_float": {"type": "number"},
        "boolean": {"type": "boolean"},
        "date": {"type": "string", "format": "utc"},
        "ip": {"type": "string", "format": "ip"},
    }
    # What may hold any names: only labels is used.
    LABELS = {"type": "object", "additionalProperties": {"type": "string"}}

    def __init__(self):
        with open(ECS, encoding="utf-8") as file:
            self.published = json.load(file)
        self.top = {"type": "object", "properties": {}, "additionalProperties": False, "required": ["@timestamp", "ecs"]}
        lists = set(self.published["lists"])
        for kind, names in self.published["types"].items():
            for name in names:
                self.add(name, self.leaf(name, kind, name in lists))
        for name in OWN:
            assert name not in self.top["properties"], f"{name} is ECS' own"
            self.top["properties"][name] = {"type": "object"}
        Draft202012Validator.check_schema(self.top)
        self.validator = Draft202012Validator(self.top, format_checker=CHECKER)

    def leaf(self, name, kind, is_list):
        if name == "labels":
            return self.LABELS
        leaf = dict(self.TYPES.get(kind, {"type": "object", "properties": {}, "additionalProperties": False}))
        if name in self.published["allowed"]:
            leaf["enum"] = self.published["allowed"][name]
        return {"type": "array", "items": leaf, "minItems": 1} if is_list else leaf

    def add(self, name, leaf):
        at = self.top
        *path, last = name.split(".")
        for step in path:
            at = at["properties"].setdefault(step, {"type": "object", "properties": {}, "additionalProperties": False})
            at.setdefault("properties", {})
        at["properties"].setdefault(last, leaf)

    def errors(self, event):
        for error in self.validator.iter_errors(event):
            yield f"{error.json_path}: {error.message[:300]}"
        if event["ecs"]["version"] != self.published["version"]:
            yield f"ecs.version is not {self.published['version']}"
        categories = event["event"].get("category", [])
        expected = {kind for name in categories for kind in self.published["expected_types"].get(name, [])}
        for kind in event["event"]["type"]:
            if categories and kind not in expected:
                yield f"event.type {kind} is expected of none of {categories}"


def main():
    judges = {"ocsf": Ocsf(), "ecs": Ecs()}
    judged, failed = Counter(), 0
    for line in sys.stdin:
        case = json.loads(line)
        judged[case["schema"]] += 1
        for error in judges[case["schema"]].errors(case["event"]):
            failed += 1
            print(f"{case['schema']}, {case['of']}: {error}")
    print(f"judged {judged['ocsf']} ocsf {judged['ecs']} ecs, {failed} errors")
    sys.exit(1 if failed else 0)


main()
