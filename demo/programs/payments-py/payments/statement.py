"""Statements of a month, kept as text files."""

from pathlib import Path


def write(folder: Path, month: str, lines: list[str]) -> Path:
    """Writes the statement and returns where it is."""
    if not month.replace("-", "").isdigit():
        raise ValueError(f"not a month: {month}")
    path = folder / f"statement-{month}.txt"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def count(path: Path) -> int:
    """How many payments the statement lists."""
    return len(path.read_text(encoding="utf-8").splitlines())
