"""The ready-made alert rules: every metric and label that they ask for is one that a role exports."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from tests.cluster.files import ROOT
from tests.docs.tables import exported

RULES = ROOT / "grafana" / "prometheus-rules.yml"


def rules() -> list[dict[str, Any]]:
    read = yaml.safe_load(RULES.read_text(encoding="utf-8"))
    return [rule for group in read["groups"] for rule in group["rules"]]


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_a_rule_asks_for_what_there_is(rule: dict[str, Any]) -> None:
    known = {name: labels for name, labels, _, _ in exported()}
    asked = re.findall(r"(streamgauge_\w+)(?:\{([^}]*)\})?", rule["expr"])
    assert asked
    for name, selectors in asked:
        assert name in known, f"{rule['alert']}: no role exports {name}"
        assert set(re.findall(r"(\w+)=", selectors)) <= set(known[name])
    for label in re.findall(r"\$labels\.(\w+)", str(rule["annotations"])):
        assert label == "instance" or all(label in known[name] for name, _ in asked), label
    assert rule["labels"]["severity"] in ("page", "warning")
    assert rule["annotations"]["summary"]
    assert rule["expr"].count("(") == rule["expr"].count(")")


def test_every_alert_has_its_own_name() -> None:
    names = [rule["alert"] for rule in rules()]
    assert len(names) == len(set(names))
