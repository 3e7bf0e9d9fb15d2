"""Reads `Settings` from a YAML file and environment variables, and checks them.

    defaults  <-  stream-detect.yaml  <-  STREAM_DETECT_SECTION__KEY, STREAM_DETECT_TOKEN

Both are validated strictly: an unknown key, an invalid value or a contradiction is a `SettingsError` that names the
key, the line of the file (or the variable) and what was expected. A message never shows a secret, nor the value of an
unknown key, since a mistyped `token` is still a secret.
"""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args, get_origin

import yaml
from pydantic import BaseModel, SecretStr, ValidationError
from pydantic_core import ErrorDetails

from stream_detect.errors import SettingsError
from stream_detect.settings import Settings

DEFAULT_FILE = Path("stream-detect.yaml")
PREFIX = "STREAM_DETECT_"
TOKEN_VARIABLE = f"{PREFIX}TOKEN"
FILE_VARIABLE = f"{PREFIX}SETTINGS"

Keys = tuple[str | int, ...]


@dataclass(slots=True)
class _Given:
    """Values set so far, and the place of each key ("FILE, line 3", or the name of a variable)."""

    values: dict[str, Any] = field(default_factory=dict)
    places: dict[Keys, str] = field(default_factory=dict)

    def place(self, keys: Keys) -> str:
        """Where `keys`, or the nearest key around them, was set."""
        while keys and keys not in self.places:
            keys = keys[:-1]
        return self.places.get(keys, "settings")


def load_settings(path: Path | None, env: Mapping[str, str]) -> Settings:
    """Loads settings from their file and the environment.

    Args:
        path: the settings file; None for STREAM_DETECT_SETTINGS, otherwise stream-detect.yaml in the working directory.
        env: environment variables.

    Raises:
        SettingsError: a file is missing, or a key is unknown, wrong or contradicts another one.
    """
    given = _Given()
    file = file_in_use(path, env)
    if file is not None:
        _read_file(file, given)
    _read_environment(env, given)
    try:
        settings = Settings.model_validate(given.values)
    except ValidationError as error:
        raise SettingsError("; ".join(_explain(detail, given) for detail in error.errors())) from None
    _check_files(settings, given)
    return settings


def file_in_use(path: Path | None, env: Mapping[str, str]) -> Path | None:
    """The settings file that `load_settings` would read; None if there is none.

    Args:
        path: see `load_settings`.
        env: environment variables.
    """
    if path is not None:
        return path
    if env.get(FILE_VARIABLE):
        return Path(env[FILE_VARIABLE])
    return DEFAULT_FILE if DEFAULT_FILE.is_file() else None


def _read_file(path: Path, given: _Given) -> None:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise SettingsError(f"expected a settings file at {path}; it cannot be read: {reason}") from None
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        value = None if root is None else _construct(root, (), str(path), given)
    except RecursionError:
        raise SettingsError(f"{path}: expected sections with values, received a list or alias without end") from None
    except yaml.MarkedYAMLError as error:
        # States only what was expected, because the text may be a token that begins with "*" or "!".
        problem = error.problem or "not YAML"
        problem = problem.partition(", but ")[0] if problem.startswith("expected ") else problem.partition(" '")[0]
        problem = problem.removeprefix("expected ")
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise SettingsError(f"{path}, line {line}: expected YAML: {problem}") from None
    except yaml.YAMLError:
        raise SettingsError(f"{path}: expected YAML, received a character that YAML does not allow") from None
    if root is None:
        return
    if not isinstance(value, dict):
        raise SettingsError(f"{path}, line 1: expected sections such as `server:`, received a single value or a list")
    given.values = value


def _construct(node: yaml.Node, keys: Keys, name: str, given: _Given) -> Any:
    given.places.setdefault(keys, f"{name}, line {node.start_mark.line + 1}")
    if isinstance(node, yaml.MappingNode):
        mapping: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                raise SettingsError(f"{name}, line {line}: expected a key that is a plain word")
            key = key_node.value
            if key in mapping:
                raise SettingsError(f"{name}, line {line}: {_dotted((*keys, key))} is set twice; keep one")
            given.places[(*keys, key)] = f"{name}, line {line}"
            mapping[key] = _construct(value_node, (*keys, key), name, given)
        # A section whose lines are all commented out has no value: its defaults apply.
        return {key: {} if value is None and not keys else value for key, value in mapping.items()}
    if isinstance(node, yaml.SequenceNode):
        return [_construct(item, (*keys, index), name, given) for index, item in enumerate(node.value)]
    try:
        return yaml.SafeLoader("").construct_object(node)
    except (yaml.YAMLError, ValueError):
        raise SettingsError(f"{given.place(keys)}: {_dotted(keys)}: expected a plain YAML value") from None


def _read_environment(env: Mapping[str, str], given: _Given) -> None:
    if env.get(TOKEN_VARIABLE):
        _set(given, ("server", "token"), env[TOKEN_VARIABLE], TOKEN_VARIABLE)
    for variable in sorted(env):
        if not variable.startswith(PREFIX) or variable in {TOKEN_VARIABLE, FILE_VARIABLE}:
            continue
        keys = tuple(variable.removeprefix(PREFIX).lower().split("__"))
        if len(keys) != 2:
            raise SettingsError(
                f"environment variable {variable}: expected {PREFIX}SECTION__KEY, {TOKEN_VARIABLE} or {FILE_VARIABLE}"
            )
        value: Any = env[variable]
        annotation = _annotation(keys)
        if value == "null" and type(None) in get_args(annotation):
            value = None
        if get_origin(annotation) is tuple:
            try:
                value = yaml.safe_load(value)
            except (yaml.YAMLError, RecursionError):
                raise SettingsError(f"environment variable {variable}: expected a JSON list") from None
        _set(given, keys, value, variable)


def _set(given: _Given, keys: tuple[str, ...], value: Any, variable: str) -> None:
    section = given.values.setdefault(keys[0], {})
    if isinstance(section, list):
        raise SettingsError(f"environment variable {variable}: {keys[0]} is a list, which only the file can have")
    if isinstance(section, dict):
        section[keys[1]] = value
    given.places[keys] = f"environment variable {variable}"


def _explain(detail: ErrorDetails, given: _Given) -> str:
    keys = detail["loc"]
    start = f"{given.place(keys)}: {_dotted(keys)}"
    if detail["type"] == "extra_forbidden":
        known = list(_fields(keys[:-1]))
        near = difflib.get_close_matches(str(keys[-1]), known, n=1)
        cure = f"did you mean {near[0]}?" if near else f"expected one of {', '.join(known)}"
        return f"{start} is not a setting; {cure}"
    message = detail["msg"].removeprefix("Value error, ")
    message = f"expected another value: {message[0].lower()}{message[1:]}"
    is_secret = _holds_secret(_annotation(keys))  # also an address in the place of a list of cameras or webhooks
    shown = isinstance(detail["input"], str | int | float) and not is_secret and not _fields(keys)
    return f"{start}: {message}" + (f", received {detail['input']!r}" if shown else "")


def _annotation(keys: Keys) -> Any:
    """Type of the setting at `keys`; None if there is none."""
    annotation: Any = Settings
    for key in keys:
        if isinstance(key, int):
            annotation = next(iter(get_args(annotation)), None)
        elif isinstance(annotation, type) and issubclass(annotation, BaseModel) and key in annotation.model_fields:
            annotation = annotation.model_fields[key].annotation
        else:
            return None
    return annotation


def _fields(keys: Keys) -> tuple[str, ...]:
    annotation = _annotation(keys)
    is_section = isinstance(annotation, type) and issubclass(annotation, BaseModel)
    return tuple(annotation.model_fields) if is_section else ()


def _holds_secret(annotation: Any) -> bool:
    """Whether a setting of this type is a secret, or has one in it."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return any(_holds_secret(field.annotation) for field in annotation.model_fields.values())
    return annotation is SecretStr or any(map(_holds_secret, get_args(annotation)))


def _dotted(keys: Keys) -> str:
    return ".".join(str(key) for key in keys) or "the whole file"


def _check_files(settings: Settings, given: _Given) -> None:
    for name in ("tls_certificate", "tls_key"):
        path = getattr(settings.server, name)
        if path is not None and not path.is_file():
            keys = ("server", name)
            raise SettingsError(
                f"{given.place(keys)}: {_dotted(keys)}: expected a PEM file, but there is none at {path}"
            )
    if settings.model.folder is not None and not settings.model.folder.is_dir():
        raise SettingsError(
            f"{given.place(('model', 'folder'))}: model.folder: expected a folder, but there is none at "
            f"{settings.model.folder}"
        )
