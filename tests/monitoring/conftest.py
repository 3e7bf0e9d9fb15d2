"""What tests of cameras share: a stage that they play on."""

from collections.abc import Iterator

import pytest

from tests.monitoring.scripted_camera import Stage


@pytest.fixture
def stage() -> Iterator[Stage]:
    with Stage() as stage:
        yield stage
