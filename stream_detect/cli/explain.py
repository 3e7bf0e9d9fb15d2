"""The command `stream-detect explain`: writes the largest face of a picture with a heat map of the evidence."""

from pathlib import Path
from typing import Annotated

import cv2
import numpy as np
import typer

from stream_detect.analysis.crop import cut
from stream_detect.analysis.detector import BlazeFace
from stream_detect.errors import MediaError
from stream_detect.models.heatmap import heat_of, shown_over
from stream_detect.models.openvino import OpenVinoHalves
from stream_detect.models.registry import Registry
from stream_detect.settings import ModelSettings
from stream_detect.types import Face, Image

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

_MIN_SCORE = 0.4
_MAX_FACES = 16


@app.command()
def explain(
    picture: Annotated[Path, typer.Argument(metavar="PICTURE", help="With a face in it.")],
    *,
    to: Annotated[Path, typer.Option("--to", metavar="FILE", help="Picture that is written, e.g. a .png.")],
    model: Annotated[str, typer.Option(help="Name of a bundle.")] = ModelSettings().name,
    folder: Annotated[
        Path | None, typer.Option("--folder", metavar="DIR", help="Folder with further bundles, as models.folder.")
    ] = None,
) -> None:
    """Show where a model looked: the largest face as the model is given it, and what spoke for a fake in orange."""
    bundle = Registry.of(folder).load(model)
    image = _read(picture)
    crop = cut(image, _largest(image, picture), bundle.card.crop_policy())
    heat = heat_of(OpenVinoHalves(bundle), crop)
    _write(np.hstack((crop, shown_over(crop, heat))), to)
    judged = bundle.card.platt().logit(heat.fake_probability)
    typer.echo(f"{model}: {1 / (1 + np.exp(-judged)):.3f} fake; left the face, right what spoke for a fake: {to}")


def _read(file: Path) -> Image:
    content = file.read_bytes() if file.is_file() else b""
    decoded = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR) if content else None
    if decoded is None:
        raise MediaError(f"expected a picture at {file}, cannot read one")
    return np.asarray(cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB), np.uint8)


def _largest(image: Image, file: Path) -> Face:
    faces = BlazeFace("full", _MIN_SCORE, _MAX_FACES).detect(image)
    if not faces:
        raise MediaError(f"expected a face in {file}, found none")
    return max(faces, key=lambda face: (face.xyxy[2] - face.xyxy[0]) * (face.xyxy[3] - face.xyxy[1]))


def _write(image: Image, to: Path) -> None:
    try:
        written = cv2.imwrite(str(to), cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    except cv2.error as error:
        raise MediaError(f"expected a name that ends as pictures do, e.g. .png, received {to}") from error
    if not written:
        raise MediaError(f"expected a place to write {to}, cannot write there")
