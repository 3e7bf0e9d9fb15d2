"""Writes build/sbom.json: a CycloneDX bill of what the lock files install, Python packages and those of the page.

python scripts/sbom.py
"""

import base64
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from stream_detect import __version__

ROOT = Path(__file__).parents[1]
LOCK = ROOT / "packaging" / "requirements.lock"
"""Of the container: what serving needs, and the drivers of PostgreSQL and MQTT."""
NPM_LOCK = ROOT / "web" / "package-lock.json"
TO = ROOT / "build" / "sbom.json"
PRODUCT = "stream-detect"


def main() -> None:
    """Write it."""
    bill = python_bill()
    page = page_components()
    bill["components"] += page
    bill["metadata"]["component"] = {
        "bom-ref": PRODUCT,
        "type": "application",
        "name": PRODUCT,
        "version": __version__,
        "purl": f"pkg:pypi/{PRODUCT}@{__version__}",
        "licenses": [{"license": {"id": "Apache-2.0"}}],
    }
    references = sorted(component["bom-ref"] for component in bill["components"])
    bill["dependencies"] = [{"ref": PRODUCT, "dependsOn": references}, *({"ref": one} for one in references)]
    TO.parent.mkdir(exist_ok=True)
    TO.write_text(json.dumps(bill, indent=2) + "\n", encoding="utf-8")
    print(f"{len(bill['components'])} components, {len(page)} of them of the page: {TO.relative_to(ROOT)}")


def python_bill() -> dict[str, Any]:
    """CycloneDX of the Python lock file, by cyclonedx-bom; for each package the hashes of its files."""
    tool = str(Path(sys.executable).with_name("cyclonedx-py"))
    done = subprocess.run(
        [tool, "requirements", LOCK, "--output-reproducible", "--spec-version", "1.6"],
        capture_output=True,
        text=True,
        check=True,
    )
    bill: dict[str, Any] = json.loads(done.stdout)
    for component in bill["components"]:
        component["description"] = f"locked in packaging/{LOCK.name}"  # the tool puts the whole line here
    return bill


def page_components() -> list[dict[str, Any]]:
    """CycloneDX components of the npm packages whose code the built page has."""
    packages = json.loads(NPM_LOCK.read_text(encoding="utf-8"))["packages"]
    components = []
    for place, package in packages.items():
        if not place or package.get("dev") or package.get("devOptional"):
            continue
        name = place.rpartition("node_modules/")[2]
        url = f"pkg:npm/{name.replace('@', '%40')}@{package['version']}"
        component = {"bom-ref": url, "type": "library", "name": name, "version": package["version"], "purl": url}
        algorithm, _, digest = package["integrity"].partition("-")
        content = base64.b64decode(digest).hex()
        component["hashes"] = [{"alg": re.sub(r"^sha", "SHA-", algorithm), "content": content}]
        component["licenses"] = [{"license": {"id": package["license"]}}]
        components.append(component)
    return components


if __name__ == "__main__":
    main()
