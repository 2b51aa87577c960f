"""The most memory that a load takes, of the greatest of its processes: many small files beside a tenth of them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from _compare import Comparison, arguments, scratch, show
from messages import order

ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    """Prints the table."""
    few = 10_000 if arguments(__doc__).full else 2_000
    with scratch() as folder:
        beside, ours = _peak_megabytes(folder / "few", few), _peak_megabytes(folder / "many", 10 * few)
        show(
            Comparison(
                f"load of {10 * few:,} files",
                f"{ours:.0f} MB",
                f"{few:,} files, {beside:.0f} MB",
                ours / beside,
                at_most=1.2,
            )
        )


def _peak_megabytes(folder: Path, count: int) -> float:
    """Peak resident memory of `python -m etl load` over so many message files, as the system counts it."""
    for number in range(count):
        below = folder / "files" / f"{number // 1000:04d}"
        below.mkdir(parents=True, exist_ok=True)
        (below / f"{number:07d}.hl7").write_bytes("\r".join(order(number)).encode())
    command = [sys.executable, "-m", "etl", "load", str(folder / "files")]
    process = subprocess.Popen(
        command, cwd=ROOT, env={**os.environ, "ISOCENTER_DATA": str(folder / "data")}, stdout=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise RuntimeError(f"the load ended with {os.waitstatus_to_exitcode(status)}")
    return usage.ru_maxrss / 1024


if __name__ == "__main__":
    main()
