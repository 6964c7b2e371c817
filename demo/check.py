#!/usr/bin/env python3
"""Reads every file of demo/evidence as its format says and prints what it counts. Fails on what should not be there."""

import json
import re
import sys
import tomllib
import xml.etree.ElementTree as xml
from collections import Counter
from pathlib import Path

EVIDENCE = Path(__file__).parent / "evidence"
FORBIDDEN = re.compile(
    r"/(?:tmp|root|home|work)/|hostname=|//(?:[a-z]+\.)?(?:npmjs|pypi|pythonhosted|crates)\.(?:org|com|io)\b"
    r"|(?!git@)\b[\w.+-]+@(?!example\.invalid)[\w-]+\.(?:com|org|net|io|dev)\b"
)


def junit(text: str) -> str:
    root = xml.fromstring(text)
    cases = list(root.iter("testcase"))
    found = Counter(kind for case in cases for kind in ("failure", "error", "skipped") if case.find(kind) is not None)
    return f"{len(cases)} tests, " + ", ".join(f"{found[kind]} {kind}" for kind in ("failure", "error", "skipped"))


def sarif(text: str) -> str:
    document = json.loads(text)
    assert document["version"] == "2.1.0"
    levels: Counter[str] = Counter()
    for run in document["runs"]:
        driver = run["tool"]["driver"]
        default = {r["id"]: r.get("defaultConfiguration", {}).get("level", "warning") for r in driver.get("rules", [])}
        for result in run.get("results", []):
            levels[result.get("level") or default.get(result.get("ruleId"), "warning")] += 1
    return ", ".join(f"{levels[level]} {level}" for level in ("error", "warning", "note"))


def cyclonedx(text: str) -> str:
    document = json.loads(text)
    assert document["bomFormat"] == "CycloneDX"
    ratings = Counter(
        (rating.get("severity") for v in document.get("vulnerabilities", []) for rating in v.get("ratings", [])[:1])
    )
    return (
        f"{document['specVersion']}: {len(document.get('components', []))} components, "
        f"{len(document.get('vulnerabilities', []))} vulnerabilities {dict(ratings) or ''}"
    )


def lcov(text: str) -> str:
    return f"{text.count('end_of_record')} files"


def cobertura(text: str) -> str:
    return f"line rate {xml.fromstring(text).get('line-rate')}"


READERS = {"junit": junit, "sarif": sarif, "cyclonedx": cyclonedx, "lcov": lcov, "cobertura": cobertura}


def main() -> int:
    manifest = tomllib.loads((EVIDENCE / "manifest.toml").read_text(encoding="utf-8"))
    entries = manifest["evidence"] + manifest.get("extra", [])
    wrong, total = [], 0
    for entry in entries:
        path = EVIDENCE / entry["release"] / entry["file"]
        text = path.read_text(encoding="utf-8")
        total += len(text)
        wrong += [f"{path.name}: {hit.group()}" for hit in FORBIDDEN.finditer(text)]
        if len(text) > 60_000:
            wrong.append(f"{path.name}: {len(text)} bytes")
        counts = READERS[entry["format"]](text)
        print(f"{entry['release']:18} {entry['control']:17} {entry['file']:34} {len(text):6}  {counts}")
    kept = {f"{e['release']}/{e['file']}" for e in entries}
    wrong += [str(p) for p in EVIDENCE.glob("*/*") if str(p.relative_to(EVIDENCE)) not in kept]
    print(f"{len(entries)} files, {total} bytes")
    print(*wrong, sep="\n", file=sys.stderr, end="\n" if wrong else "")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
