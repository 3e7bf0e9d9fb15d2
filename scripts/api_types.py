"""Makes the page's types of the server's answers, and the schemas that it checks them by, from /openapi.json.

    make api-types

Run it after a change of the bodies in stream_detect/api/schemas; a test compares what is committed.
"""

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import httpx

from scripts import npm
from scripts.screenshot import started_server

FOLDER = Path(__file__).parents[1] / "web" / "src" / "stream"
TYPES = "api.d.ts"
SCHEMAS = "api.json"
NOTES = frozenset({"title", "description", "default", "examples", "format"})
"""Keywords that check nothing."""


def main() -> None:
    """Write both files from a server of this checkout."""
    with tempfile.TemporaryDirectory() as folder, started_server(folder) as address:
        generate(httpx.get(f"{address}/openapi.json").json(), FOLDER)


def generate(document: dict[str, Any], folder: Path) -> None:
    """Writes the types and the schemas of a document's components.

    The paths are left out: the page names its routes itself, and they would be nine tenths of the file.
    """
    components = {"schemas": document["components"]["schemas"]}
    bare = {"openapi": document["openapi"], "info": document["info"], "paths": {}, "components": components}
    schemas = {name: _checks(schema) for name, schema in sorted(components["schemas"].items())}
    (folder / SCHEMAS).write_text(json.dumps(schemas, separators=(",", ":")) + "\n", encoding="utf-8")
    with tempfile.TemporaryDirectory() as work:
        source = Path(work) / "openapi.json"
        source.write_text(json.dumps(bare), encoding="utf-8")
        write_types(source, folder / TYPES, "--alphabetize", "--root-types", "--root-types-no-schema-prefix")


def write_types(document: Path, types: Path, *options: str) -> None:
    """Has openapi-typescript write the types of an OpenAPI document."""
    command = ["exec", "--", "openapi-typescript", str(document), "--output", str(types), *options]
    if npm.main(command):
        sys.exit("expected openapi-typescript to take the document; its words are above")


def _checks(schema: Any) -> Any:
    """A schema without the keywords that check nothing."""
    if isinstance(schema, list):
        return [_checks(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    checks = {name: _checks(value) for name, value in schema.items() if name not in NOTES and name != "properties"}
    if "properties" in schema:  # a property may be called as a keyword is
        checks["properties"] = {name: _checks(value) for name, value in schema["properties"].items()}
    return checks


if __name__ == "__main__":
    main()
