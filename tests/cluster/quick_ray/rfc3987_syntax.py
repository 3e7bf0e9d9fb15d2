"""Hides a package of our tools from Ray's processes, which import jsonschema: with it, that takes a second more."""

raise ImportError("rfc3987-syntax is not for Ray: it comes with cyclonedx-python-lib, which a server does not have")
