"""The version in pom.xml in; a folder of jars that is Apache Kafka out, fetched once by Maven into the user's cache."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final

POM: Final = Path(__file__).with_name("pom.xml")
FETCH_DEADLINE_S: Final = 600


class KafkaUnavailableError(RuntimeError):
    """Apache Kafka cannot be run on this machine; the message says what is missing and the ways to supply it."""


def kafka_jars() -> Path:
    """Folder of the jars, fetched on the first call; processes that ask at the same time wait for one fetch.

    Raises `KafkaUnavailableError` where Java, Maven or the network is missing.
    """
    if shutil.which("java") is None:
        raise _unavailable("`java` (a JDK or JRE, 17 or newer) is not on the PATH")
    folder = _cache_root() / f"kafka-{_kafka_version()}"
    if folder.is_dir():
        return folder
    if shutil.which("mvn") is None:
        raise _unavailable("`mvn` (Apache Maven), which fetches Apache Kafka, is not on the PATH")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.is_dir():
            # Fetched aside and renamed, so that a fetch cut short never passes for a whole folder.
            with tempfile.TemporaryDirectory(prefix="kafka-fetch-", dir=folder.parent) as aside:
                jars = Path(aside) / "jars"
                _fetch_into(jars)
                jars.rename(folder)
    return folder


def _fetch_into(folder: Path) -> None:
    command = ["mvn", "-B", "-q", "-f", str(POM), "dependency:copy-dependencies"]
    command += ["-DincludeScope=runtime", f"-DoutputDirectory={folder}"]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=FETCH_DEADLINE_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise _unavailable(f"Maven did not fetch Apache Kafka within {FETCH_DEADLINE_S} s") from error
    if done.returncode != 0:
        raise _unavailable(f"Maven could not fetch Apache Kafka (no network?):\n{(done.stdout + done.stderr)[-1500:]}")


def _cache_root() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "streamgauge"


def _kafka_version() -> str:
    found = re.search(r"<kafka\.version>([^<]+)</kafka\.version>", POM.read_text(encoding="utf-8"))
    if found is None:
        raise RuntimeError(f"{POM.name} names no <kafka.version>: put it back, the cache folder is named by it")
    return found[1]


def _unavailable(why: str) -> KafkaUnavailableError:
    return KafkaUnavailableError(
        f"no Apache Kafka to test against: {why}. Install it, or point STREAMGAUGE_TEST_BOOTSTRAP at a Kafka of yours"
    )
