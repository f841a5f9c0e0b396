from pipelines.objectives import METHODS


def test_every_method_is_listed_in_order_with_what_it_needs(mtpkd, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    status, out, _ = mtpkd("methods")
    assert status == 0
    lines = [line for line in out.splitlines() if line.split() and line.split()[0] in METHODS]
    assert [line.split()[0] for line in lines] == list(METHODS)
    assert ["needed" in line for line in lines] == [method.needs_teachers for method in METHODS.values()]
    assert all(len(line) <= 80 for line in out.splitlines())


def test_papers_can_be_looked_up(mtpkd):
    _, out, _ = mtpkd("methods")
    for method in METHODS.values():
        for words in method.reference.split(", "):
            assert words in out
