"""`catts report`: runs and studies as one page."""

from pathlib import Path
from typing import Annotated

import typer


def report(
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="PATH...",
            help="JSON of `catts study`, .eval logs of `catts eval`, and JSON-lines files of "
            "traces (as `catts demo` writes).",
        ),
    ],
    out: Annotated[Path, typer.Option(help="The page to write.")] = Path("report.html"),
    images: Annotated[
        Path | None,
        typer.Option(help="Folder with the pictures of the traces: an ImageStore's, or any."),
    ] = None,
    title: Annotated[str, typer.Option(help="Heading of the page.")] = "CA-TTS report",
    json: Annotated[bool, typer.Option("--json", help="Print what was written as JSON.")] = False,
) -> None:
    """Write studies and runs as one HTML page that needs nothing beside itself."""
    from catts.evals.pages.pictures import PictureFolder
    from catts.evals.pages.readers import read
    from catts.evals.pages.write import write_page

    folder = None if images is None else PictureFolder(images)
    written = write_page([read(path, folder) for path in paths], out, title)
    for section in written.sections:
        if section.missing:
            typer.echo(f"warning: {section.title}: pictures not found: {section.missing}", err=True)
    if json:
        typer.echo(written.model_dump_json())
    else:
        typer.echo(f"{written.path} ({written.bytes / 1e6:.1f} MB)")
