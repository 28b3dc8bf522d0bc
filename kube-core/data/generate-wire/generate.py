#!/usr/bin/env python3
"""Writes ../wire.tsv. Run by hand when the Kubernetes version changes:

    generate.py SOURCES kube-core/data

SOURCES holds the repositories `api`, `apimachinery`, `apiextensions-apiserver` and `kube-aggregator` of Kubernetes' staging
area at the tag of types.tsv (v0.36.0). Numbers and names come from the struct tags of their Go types; the message types of
`generated.proto` are compared with types.tsv, so that a wrong number cannot go unnoticed.

Format, beside types.tsv (same definitions, same JSON names):

    definition
    <tab> JSON name <tab> number <tab> rules

The number of a field that Go inlines is a path: `2.1` is field 1 of the message that is field 2. Rules: `omit` for a
value that Go leaves out of JSON when it is zero, `items` for a list of strings that is a message of its own.
"""

import re
import sys
from pathlib import Path

ROOTS = {
    "io.k8s.api.": "api/",
    "io.k8s.apimachinery.pkg.": "apimachinery/pkg/",
    "io.k8s.apiextensions-apiserver.pkg.": "apiextensions-apiserver/pkg/",
    "io.k8s.kube-aggregator.pkg.": "kube-aggregator/pkg/",
}
STRUCT = re.compile(r"^\s*(?:type )?(\w+) struct ?\{(\}|.*?^\s*\})", re.M | re.S)
ALIAS = re.compile(r"^type (\w+) (?:= )?(\w+)\.\w+$", re.M)
FIELD = re.compile(r"^\s*(?:\w+\s+)?(\S+)\s+`(.*)`", re.M)
MESSAGE = re.compile(r"^message (\w+) \{(.*?)^\}", re.M | re.S)
PROTO_FIELD = re.compile(r"^  (optional|repeated|map)[ ]?(\S+|<.*>) \w+ = (\d+);", re.M)
SCALARS = {"string", "bytes", "int32", "int64", "double", "bool"}
SPECIAL = {"quantity": "Quantity", "int-or-string": "IntOrString", "time": "Time", "micro-time": "MicroTime"}


def package(definition):
    """The folder of a definition's Go package."""
    for prefix, folder in ROOTS.items():
        if definition.startswith(prefix):
            return folder + definition[len(prefix) :].rsplit(".", 1)[0].replace(".", "/")
    raise ValueError(definition)


class Sources:
    def __init__(self, root):
        self.root, self.known = root, {}

    def read(self, folder):
        if folder not in self.known:
            files = [file for file in (self.root / folder).glob("*.go") if not file.name.endswith("_test.go")]
            text = "\n".join(file.read_text() for file in files if "generated" not in file.name)
            text = re.sub(r"^\s*//.*$", "", text, flags=re.M)
            proto = (self.root / folder / "generated.proto").read_text()
            messages = {name: {int(n): (label, ty) for label, ty, n in PROTO_FIELD.findall(body)} for name, body in MESSAGE.findall(proto)}
            self.known[folder] = dict(STRUCT.findall(text)), dict(ALIAS.findall(text)), messages
        return self.known[folder]

    def fields(self, folder, name):
        """JSON name -> (path, rules, type in the .proto)."""
        structs, aliases, messages = self.read(folder)
        if name not in structs:
            return self.fields(f"{folder.rsplit('/', 1)[0]}/{aliases[name]}", name)
        found = {}
        for ty, tags in FIELD.findall(structs[name]):
            tags = dict(re.findall(r'(\w+):"([^"]*)"', tags))
            json, protobuf = tags["json"].split(","), tags.get("protobuf")
            if not protobuf:
                assert json == ["", "inline"] and ty.endswith("TypeMeta"), (name, ty, tags)
                continue
            number = protobuf.split(",")[1]
            if json == ["", "inline"]:
                inner = self.fields(folder, ty)
                found |= {field: (f"{number}.{path}", rules, proto) for field, (path, rules, proto) in inner.items()}
                continue
            label, proto = messages[name][int(number)]
            is_plain = label == "optional" and proto in SCALARS and not ty.startswith("*")
            rules = ["omit"] if is_plain and "omitempty" in json else []
            rules += ["items"] if re.search(r"(ExtraValue|Verbs)>?$", proto) else []
            found[json[0]] = (number, rules, (label, proto))
        return found


def expected(ty, named, rules):
    """Label and message name that the .proto must have for a field of this type of types.tsv."""
    if ty.startswith("[]") and "items" not in rules:
        return "repeated", expected(ty[2:], named, rules)[1]
    if ty.startswith("{}"):
        return "map", expected(ty[2:], named, rules)[1]
    if "items" in rules:
        return "optional", None
    plain = named.get(ty, ty)
    return "optional", plain if plain in SCALARS else SPECIAL.get(plain, ty.rsplit(".", 1)[-1])


def check(where, ty, named, rules, proto):
    label, message = proto
    if label == "map":
        key, message = message[1:-1].split(", ")
        assert key == "string", where
    want_label, want = expected(ty, named, rules)
    assert label == want_label and want in (None, message.rsplit(".", 1)[-1]), (where, ty, proto)


def main():
    sources, data = Sources(Path(sys.argv[1])), Path(sys.argv[2])
    definitions, named = {}, {}
    for line in (data / "types.tsv").read_text().splitlines():
        columns = line.split("\t")
        if columns[0]:
            current = definitions.setdefault(columns[0], {})
            if columns[1:] and columns[1].startswith("="):
                named[columns[0]] = columns[1][1:]
        else:
            current[columns[1].rstrip("!")] = columns[2]
    lines = []
    for name, fields in sorted(definitions.items()):
        if name in named or name == "io.k8s.apimachinery.pkg.version.Info":  # JSON only
            continue
        rows = sources.fields(package(name), name.rsplit(".", 1)[-1])
        wanted = {field for field in fields if field not in ("apiVersion", "kind") or field in rows}
        assert wanted == set(rows), (name, wanted ^ set(rows))
        lines.append(name)
        for field, (path, rules, proto) in sorted(rows.items()):
            check((name, field), fields[field], named, rules, proto)
            lines.append("\t".join(["", field, path, *([" ".join(rules)] if rules else [])]))
    (data / "wire.tsv").write_text("\n".join(lines) + "\n")


main()
