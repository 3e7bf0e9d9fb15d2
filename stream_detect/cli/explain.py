"""The command `stream-detect explain`: writes the largest face of a picture with a heat map of the evidence."""

from contextlib import closing
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
from stream_detect.sources.media import open_media
from stream_detect.types import Face, Image

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

_MIN_SCORE = 0.4
_MAX_FACES = 16


@app.command()
def explain(
    picture: Annotated[Path, typer.Argument(metavar="PICTURE", help="Picture with a face.")],
    *,
    to: Annotated[Path, typer.Option("--to", metavar="FILE", help="Picture to write, such as face.png.")],
    model: Annotated[str, typer.Option(help="Name of the bundle.")] = ModelSettings().name,
    folder: Annotated[
        Path | None, typer.Option("--folder", metavar="DIR", help="Folder with further bundles, like model.folder.")
    ] = None,
) -> None:
    """Draw what a model saw in the largest face: the crop it is given, and in orange the parts that look fake."""
    bundle = Registry.of(folder).load(model)
    image = _read(picture)
    crop = cut(image, _largest(image, picture), bundle.card.crop_policy())
    heat = heat_of(OpenVinoHalves(bundle), crop)
    _write(np.hstack((crop, shown_over(crop, heat))), to)
    judged = bundle.card.platt().logit(heat.fake_probability)
    typer.echo(f"{model}: {1 / (1 + np.exp(-judged)):.3f} fake; in {to}: left the face, right the parts that look fake")


def _read(file: Path) -> Image:
    """The picture upright, or the first frame of a video: all that `stream-detect analyze` reads."""
    if not file.is_file():
        raise MediaError(f"expected a picture at {file}, but there is none")
    try:
        with closing(open_media(file)) as media:
            return next(media.shots()).rgb()
    except MediaError as error:
        raise MediaError(f"expected a picture at {file}, but it cannot be read: {error}") from error


def _largest(image: Image, file: Path) -> Face:
    faces = BlazeFace("full", _MIN_SCORE, _MAX_FACES).detect(image)
    if not faces:
        raise MediaError(f"expected a face in {file}, found none")
    return max(faces, key=lambda face: (face.xyxy[2] - face.xyxy[0]) * (face.xyxy[3] - face.xyxy[1]))


def _write(image: Image, to: Path) -> None:
    try:
        written = cv2.imwrite(str(to), cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    except cv2.error as error:
        raise MediaError(f"expected a file name with a picture's suffix, such as .png, received {to}") from error
    if not written:
        raise MediaError(f"cannot write {to}: check that its folder exists and is writable")
