"""Our registry client against a registry over real HTTP."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from schemas.avro_schemas import avro_schema
from schemas.decoding import SchemaSourceAway, UnknownSchema
from schemas.topics import Topics
from streamgauge.registry import COMPATIBILITY, Registry, RegistryAccess, RegistryError, subjects_of
from tests.support.registry import FakeRegistry


@pytest.fixture
def fake() -> Iterator[FakeRegistry]:
    with FakeRegistry() as registry:
        yield registry


def test_registering_twice_changes_nothing(fake: FakeRegistry) -> None:
    registry = Registry(RegistryAccess(fake.url))
    for name, event in subjects_of(Topics("acme.")):
        assert registry.subject(name, event).state == "absent"
        first = registry.register(name, event)
        assert (first.state, first.version, first.compatibility) == ("current", 1, COMPATIBILITY)
        assert registry.register(name, event) == first
    assert set(fake.subjects) == {"acme.usage.events-value", "acme.usage.outcomes-value"}


def test_another_schema_under_our_subject_is_seen(fake: FakeRegistry) -> None:
    fake.subjects["usage.events-value"] = [fake.add('"string"')]
    subject = Registry(RegistryAccess(fake.url)).subject("usage.events-value", "usage_event")
    assert (subject.state, subject.compatibility) == ("other", None)


def test_a_schema_is_asked_for_once(fake: FakeRegistry) -> None:
    number = fake.add(avro_schema("usage_event").text)
    registry = Registry(RegistryAccess(fake.url))
    assert registry.schema_text(number) == registry.schema_text(number) == avro_schema("usage_event").text
    assert fake.calls == [f"GET /schemas/ids/{number}"]


def test_an_unknown_id_may_be_refused_but_an_outage_may_not(fake: FakeRegistry) -> None:
    registry = Registry(RegistryAccess(fake.url))
    with pytest.raises(UnknownSchema, match="no schema 7"):
        registry.schema_text(7)
    fake.down = True
    with pytest.raises(SchemaSourceAway, match="the store is away"):
        registry.schema_text(7)
    fake.down = False
    with pytest.raises(UnknownSchema):
        registry.schema_text(7)


def test_a_registry_that_is_not_there_says_what_to_check() -> None:
    with FakeRegistry() as gone:
        url = gone.url
    with pytest.raises(RegistryError, match=r"does not answer .*check registry.url"):
        Registry(RegistryAccess(url, timeout_s=1)).subject("usage.events-value", "usage_event")
    with pytest.raises(SchemaSourceAway):
        Registry(RegistryAccess(url, timeout_s=1)).schema_text(1)


def test_logins_are_sent_and_refusals_explained() -> None:
    with FakeRegistry(login=("ada", "secret")) as fake:
        number = fake.add('"string"')
        assert Registry(RegistryAccess(fake.url, "ada", "secret")).schema_text(number) == '"string"'
        with pytest.raises(RegistryError, match="STREAMGAUGE_REGISTRY__PASSWORD"):
            Registry(RegistryAccess(fake.url, "ada", "wrong")).subject("usage.events-value", "usage_event")


def test_an_address_that_is_none_is_refused_at_once() -> None:
    with pytest.raises(RegistryError, match="must begin with http"):
        Registry(RegistryAccess("registry:8081"))
