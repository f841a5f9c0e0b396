"""The application: commands in the order of the pipeline, and one place where errors become messages."""

import os
import sys
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from mtpkd_cli import (
    align,
    compare,
    crop_faces,
    distill,
    evaluate,
    export,
    extract_audio,
    extract_biosignals,
    init,
    inspect,
    methods,
    predict,
    preprocess,
    report,
    run,
    train_teachers,
    validate,
    verify,
    weights,
)
from pipelines.errors import MtpkdError


class _Commands(TyperGroup):
    def invoke(self, ctx: Any) -> Any:
        """Typer would end without a word when Ctrl-C is pressed."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            _fail("interrupted: the same command goes on where it stopped", 130)


app = typer.Typer(
    name="mtpkd",
    cls=_Commands,
    help="Distil teachers that saw everything in the laboratory into a student that sees only the face.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def _before_any_command(
    offline: Annotated[
        bool, typer.Option("--offline", help="Open no connection: published weights must be there already.")
    ] = False,
) -> None:
    if offline:
        os.environ["MTPKD_OFFLINE"] = "1"  # worker processes are told by it, too


app.command("init")(init.init)
app.command("run")(run.run)
app.command("validate")(validate.validate)
app.command("preprocess")(preprocess.preprocess)
app.command("verify")(verify.verify)
app.command("inspect")(inspect.inspect)
app.command("train-teachers")(train_teachers.train_teachers)
app.command("align")(align.align)
app.command("distill")(distill.distill)
app.command("evaluate")(evaluate.evaluate)
app.command("compare")(compare.compare)
app.command("predict")(predict.predict)
app.command("report")(report.report)
app.command("export")(export.export)
app.command("methods")(methods.methods)
app.command("crop-faces")(crop_faces.crop_faces)
app.command("extract-audio")(extract_audio.extract_audio)
app.command("extract-biosignals")(extract_biosignals.extract_biosignals)
app.add_typer(weights.app, name="weights")


def main() -> None:
    """Run the command line. Expected errors end in a message and their exit status, never in a traceback."""
    try:
        app()
    except MtpkdError as error:
        _fail(str(error), error.exit_status)
    except OSError as error:
        if error.errno is None:
            raise
        _fail(f"{error.filename or 'a file'}: {error.strerror}", 1)


def _fail(message: str, status: int) -> NoReturn:
    print(f"mtpkd: error: {message}", file=sys.stderr)
    sys.exit(status)
