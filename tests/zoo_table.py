"""Writes the zoo's table into docs/backends.md, from what the test runs reported.

for backend in tensorflow jax torch; do
    KERAS_BACKEND=$backend ZOO_REPORT=zoo.tsv python -m pytest tests/test_zoo.py
done
python tests/zoo_table.py zoo.tsv
"""

import sys
from pathlib import Path

PAGE = Path(__file__).resolve().parent.parent / "docs" / "backends.md"
START, END = "<!-- zoo: start -->", "<!-- zoo: end -->"
BACKENDS = ("tensorflow", "jax", "torch")


def table(report: str) -> str:
    """The table in Markdown, its notes below it."""
    cells: dict[str, dict[str, tuple[str, str]]] = {}
    for line in report.splitlines():
        backend, name, result, remark = line.split("\t")
        cells.setdefault(name, {})[backend] = result, remark
    notes: list[str] = []
    rows = []
    for name, results in cells.items():
        row = []
        for backend in BACKENDS:
            result, remark = results.get(backend, ("not run", ""))
            if remark and remark not in notes:
                notes.append(remark)
            row.append(f"{result} [{notes.index(remark) + 1}]" if remark else result)
        rows.append(f"| {name.replace('_', ' ')} | {' | '.join(row)} |")
    head = "| model | TensorFlow | JAX | PyTorch |\n|---|---|---|---|\n"
    listed = "\n".join(f"{at}. {note}" for at, note in enumerate(notes, start=1))
    return f"{head}{chr(10).join(rows)}\n\n{listed}\n"


def main() -> None:
    page = PAGE.read_text()
    before, _, rest = page.partition(START)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{START}\n{table(Path(sys.argv[1]).read_text())}{END}{after}")


if __name__ == "__main__":
    main()
