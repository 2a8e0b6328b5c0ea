"""In: the address of a Confluent-compatible schema registry. Out: schemas by id for decoding, and our schemas
registered there.

Five calls of its REST interface over the standard library; the Kafka client's own registry module would bring an OAuth
and an HTTP library for them.
"""

from __future__ import annotations

import base64
import json
import ssl
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any, Final, Literal
from urllib.parse import quote, urlsplit

from schemas.avro_schemas import EventName, avro_schema
from schemas.decoding import SchemaSourceAway, UnknownSchema
from schemas.topics import Topics

CONTENT_TYPE: Final = "application/vnd.schemaregistry.v1+json"
COMPATIBILITY: Final = "FULL_TRANSITIVE"
_NO_SUCH_SUBJECT, _NO_SUCH_VERSION, _NO_SUCH_SCHEMA = 40401, 40402, 40403
#: A subject without a level of its own answers this code to GET /config.
_NO_OWN_LEVEL: Final = 40408


class RegistryError(RuntimeError):
    """The registry cannot be reached or refused; the message says which and what to do. Waiting may help."""

    def __init__(self, message: str, code: int | None = None) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class RegistryAccess:
    """Where the registry is and how to log in."""

    url: str
    username: str | None = None
    password: str | None = None
    ca_file: str | None = None
    timeout_s: float = 10.0


@dataclass(frozen=True, slots=True)
class Subject:
    """One subject: the schemas of the values of one topic. `state`: what the registry's newest version is
    against ours.
    """

    name: str
    event: EventName
    state: Literal["absent", "current", "other"]
    schema_id: int | None
    version: int | None
    compatibility: str | None


def subjects_of(topics: Topics) -> list[tuple[str, EventName]]:
    """Subjects by topic (TopicNameStrategy) and the event whose schema stands under each."""
    return [(f"{topics.events}-value", "usage_event"), (f"{topics.outcomes}-value", "outcome_event")]


class Registry:
    """Not thread-safe. Every call may block up to the access's timeout and raise RegistryError."""

    def __init__(self, access: RegistryAccess) -> None:
        if urlsplit(access.url).scheme not in ("http", "https"):
            raise RegistryError(f"registry.url is {access.url!r}: it must begin with http:// or https://")
        self._access = access
        self._context = ssl.create_default_context(cafile=access.ca_file) if access.url.startswith("https") else None
        self._texts: dict[int, str] = {}

    def schema_text(self, schema_id: int) -> str:
        """The schema of an id, remembered: ids are never reused.

        UnknownSchema when the registry has none; SchemaSourceAway for whatever else it cannot tell.
        """
        known = self._texts.get(schema_id)
        if known is None:
            try:
                known = str(self._call("GET", f"/schemas/ids/{schema_id}")["schema"])
            except RegistryError as error:
                if error.code == _NO_SUCH_SCHEMA:
                    raise UnknownSchema(f"the schema registry has no schema {schema_id}") from error
                raise SchemaSourceAway(str(error)) from error
            self._texts[schema_id] = known
        return known

    def subject(self, name: str, event: EventName) -> Subject:
        """What the registry holds under a subject, compared with our current schema."""
        try:
            newest = self._call("GET", f"/subjects/{quote(name, safe='')}/versions/latest")
        except RegistryError as error:
            if error.code in (_NO_SUCH_SUBJECT, _NO_SUCH_VERSION):
                return Subject(name, event, "absent", None, None, self._compatibility(name))
            raise
        same = json.loads(newest["schema"]) == json.loads(avro_schema(event).text)
        state: Literal["current", "other"] = "current" if same else "other"
        return Subject(name, event, state, int(newest["id"]), int(newest["version"]), self._compatibility(name))

    def register(self, name: str, event: EventName) -> Subject:
        """Set the subject's compatibility, then register our current schema; both again is no change."""
        if self._compatibility(name) != COMPATIBILITY:
            self._call("PUT", f"/config/{quote(name, safe='')}", {"compatibility": COMPATIBILITY})
        self._call("POST", f"/subjects/{quote(name, safe='')}/versions", {"schema": avro_schema(event).text})
        return self.subject(name, event)

    def _compatibility(self, name: str) -> str | None:
        try:
            return str(self._call("GET", f"/config/{quote(name, safe='')}")["compatibilityLevel"])
        except RegistryError as error:
            if error.code in (_NO_OWN_LEVEL, _NO_SUCH_SUBJECT):
                return None
            raise

    def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        access = self._access
        request = urllib.request.Request(access.url.rstrip("/") + path, method=method)
        request.add_header("Accept", f"{CONTENT_TYPE}, application/json")
        if body is not None:
            request.add_header("Content-Type", CONTENT_TYPE)
            request.data = json.dumps(body).encode()
        if access.username is not None:
            login = base64.b64encode(f"{access.username}:{access.password or ''}".encode()).decode()
            request.add_header("Authorization", f"Basic {login}")
        try:
            with urllib.request.urlopen(request, timeout=access.timeout_s, context=self._context) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            raise _refusal(access.url, method, path, error) from error
        except (urllib.error.URLError, TimeoutError, ConnectionError, json.JSONDecodeError) as error:
            reason = getattr(error, "reason", error)
            raise RegistryError(
                f"the schema registry at {access.url} does not answer ({reason}): check registry.url and that it runs"
            ) from error


def _refusal(url: str, method: str, path: str, error: urllib.error.HTTPError) -> RegistryError:
    if error.code in (401, 403):
        return RegistryError(
            f"the schema registry at {url} refuses our login ({error.code}): check registry.username and "
            "STREAMGAUGE_REGISTRY__PASSWORD",
            error.code,
        )
    try:
        answer = json.loads(error.read())
        code, message = int(answer["error_code"]), str(answer["message"])
    except (ValueError, KeyError, TypeError):
        code, message = error.code, error.reason
    return RegistryError(f"the schema registry refuses {method} {path}: {message} ({code})", code)
