"""Which stages of a file are missing or outdated: pure functions over what the store knows.

State is derived, not queued: a file is up to date when every enabled stage has a row with the
version, the model and the inputs that it would be run with now.
"""

import hashlib
from collections.abc import Mapping

from companion.config import Config
from companion.findings import Pass
from companion.model import Known, StageResult, StageState
from scanners import models
from scanners.base import STAGES

FEEDERS = ("shots", "scenes")  # what the other stages of the picture pass are told of
MAX_ATTEMPTS = 2  # a poison file is tried twice, then set aside with its reason
PROBE = "probe"  # reading what the container says: not a stage of the table, but it can fail
REPLACED = "subtitles"  # inputs of a speech stage that was not needed


def enabled(config: Config) -> tuple[str, ...]:
    """Return the stages that the configuration wants, in the order of the table."""
    return tuple(
        name
        for name, info in STAGES.items()
        if info.feature is None or getattr(config.features, info.feature)
    )


def switched_off(config: Config) -> tuple[str, ...]:
    """Return the stages that the configuration does not want, each with the key that says so."""
    wanted = enabled(config)
    return tuple(
        f"{name}: off by features.{info.feature}"
        for name, info in STAGES.items()
        if name not in wanted
    )


def model_of(stage: str, roles: Mapping[str, str]) -> str:
    """Return the identity of the model that a stage would use now; empty without one."""
    role = STAGES[stage].role
    return models.identity(roles[role]) if role else ""


def spaces(roles: Mapping[str, str]) -> dict[str, str]:
    """Return space of picture vectors -> identity of the model whose vectors they are."""
    if "picture" not in roles:
        return {}
    return {
        "looks": models.identity(roles["picture"]),
        "words": models.words_identity(dict(roles)),
    }


def needed_models(stage: str, roles: Mapping[str, str]) -> tuple[str, ...]:
    """Return the rows of the model table that a stage cannot do without."""
    role = STAGES[stage].role
    if role is None:
        return ()
    others: tuple[str, ...] = ()
    if role == "picture" and models.model(roles[role]).engine == models.BORROWS_WORDS:
        others = (roles["meaning"],) if "meaning" in roles else ()
    elif role == "face_embedding":
        others = (roles["face_detection"],)
    elif role == "onscreen":
        others = (models.FINDS_TEXT,)
    return tuple(dict.fromkeys((roles[role], *others)))


def inputs_of(stage: str, known: Known, config: Config, roles: Mapping[str, str]) -> str:
    """Return a short hash of what a stage would read besides the film itself."""
    scan = config.scan
    if stage == "subtitles":
        # not their paths: a film that is renamed with its subtitles is no new work
        beside = sorted(
            (row.language, row.forced, row.hearing_impaired, row.size, row.mtime_ns)
            for row in known.side_files
        )
        return _hash(beside, scan.languages)
    if stage == "speech":
        if replaced(known, config):
            return REPLACED
        return _hash(scan.speech_language, scan.beam)
    if stage == "picture":
        return _hash(spaces(roles)["words"])  # the text model that its words belong to
    if stage == "faces":
        return _hash(models.identity(roles["face_detection"]))
    if stage == "meaning":
        return _hash(
            *(
                (name, row.version, row.model, row.inputs, row.finished_at_ms)
                for name in STAGES[stage].needs
                if (row := known.results.get(name)) is not None and row.state is StageState.DONE
            )
        )
    return ""


def replaced(known: Known, config: Config) -> bool:
    """True if a subtitle makes speech recognition needless."""
    return known.has_subtitles and config.scan.subtitles_replace_speech


def up_to_date(stage: str, known: Known, config: Config, roles: Mapping[str, str]) -> bool:
    row = known.results.get(stage)
    return (
        row is not None and row.state is StageState.DONE and _same(stage, row, known, config, roles)
    )


def set_aside(stage: str, known: Known, config: Config, roles: Mapping[str, str]) -> bool:
    """True if a stage failed for good, or too often, on the very same inputs."""
    row = known.results.get(stage)
    if row is None or row.state is not StageState.FAILED:
        return False
    tired = row.permanent or row.attempts >= MAX_ATTEMPTS
    return tired and (stage == PROBE or _same(stage, row, known, config, roles))


def missing(known: Known, config: Config, roles: Mapping[str, str]) -> dict[Pass, tuple[str, ...]]:
    """Return the stages to run now, by pass. A stage whose needs are not met is not among them."""
    if set_aside(PROBE, known, config, roles):
        return {}
    if known.file.media is None:
        return {"words": ("subtitles",)}
    wanted: dict[Pass, tuple[str, ...]] = {}
    for stage in enabled(config):
        if up_to_date(stage, known, config, roles) or set_aside(stage, known, config, roles):
            continue
        if _ready(stage, known, config, roles):
            runs = STAGES[stage].runs_in
            wanted[runs] = (*wanted.get(runs, ()), stage)
    if set(FEEDERS) & set(wanted.get("picture", ())):  # the others build on what they find
        wanted["picture"] = tuple(
            stage
            for stage in enabled(config)
            if STAGES[stage].runs_in == "picture" and not set_aside(stage, known, config, roles)
        )
    return wanted


def _ready(stage: str, known: Known, config: Config, roles: Mapping[str, str]) -> bool:
    if stage == "speech":
        # Also after the subtitles failed: then speech is all there is.
        return up_to_date("subtitles", known, config, roles) or set_aside(
            "subtitles", known, config, roles
        )
    if STAGES[stage].runs_in == "picture":
        # Runs in the same pass as what it needs, and is nothing without it.
        feeders = [each for each in FEEDERS if each != stage]
        return not any(set_aside(each, known, config, roles) for each in feeders)
    if stage == "meaning":
        return known.has_scenes
    return True


def _same(
    stage: str, row: StageResult, known: Known, config: Config, roles: Mapping[str, str]
) -> bool:
    if (row.version, row.model) != (STAGES[stage].version, model_of(stage, roles)):
        return False
    if stage == "picture" and not spaces(roles)["words"]:
        return True  # whatever words its pictures have, none are asked for
    return row.inputs == inputs_of(stage, known, config, roles)


def _hash(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]
