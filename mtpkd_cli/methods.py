"""`mtpkd methods`: what `distill --method` can train."""


def methods() -> None:
    """Methods of distillation and their controls: what each is, what it needs, where it comes from."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    from pipelines.objectives import METHODS

    table = Table(box=SIMPLE_HEAD, padding=(0, 2, 0, 0), pad_edge=False, show_edge=False)
    table.add_column("method", no_wrap=True)
    table.add_column("what the student learns from")
    table.add_column("teachers", no_wrap=True)
    table.add_column("reference", no_wrap=True)
    for name, method in METHODS.items():
        reference = method.reference.replace(", ", "\n")
        table.add_row(name, method.description, "needed" if method.needs_teachers else "-", reference)
    Console(highlight=False, markup=False).print(table)
