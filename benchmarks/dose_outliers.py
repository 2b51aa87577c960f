"""Planted dose outliers and changes of protocols: how many are found, beside a fixed alert value and a mean/SD score.

    python benchmarks/dose_outliers.py                 # four seeds of a small demo; some minutes each
    python benchmarks/dose_outliers.py --seeds 40 41   # these seeds

Each demo is made, loaded and judged over all days but the first four months, in which nothing is known yet. Figures:
recall and precision for exams (a phantom that is set apart counts as found), exams until a planted change was seen,
false changes a week. Large patients are no outliers; fixed limits, which always fire, are left out of precision.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import polars as pl
from _compare import scratch

from insights.dose.alerts import newest_day
from insights.dose.outliers import Judged, judge, outliers
from insights.dose.rules import rules_with
from settings import load_settings
from state.home import DataHome
from warehouse.engines import Star, StarReader

SEEDS = (40, 41, 42, 43)
SCALE, DAYS, KNOWN_AFTER = "0.05", 330, 120
Exams = set[int]


def main() -> int:
    """Prints the figures of each seed and their sums."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=list(SEEDS))
    options = parser.parse_args()
    sums: dict[str, list[float]] = {}
    for seed in options.seeds:
        with scratch() as folder:
            for name, value in one_seed(seed, folder).items():
                sums.setdefault(name, []).append(value)
    print(f"\n{len(options.seeds)} seeds")
    for method in ("isocenter", "fixed", "z_score"):
        planted, found, raised = (sum(sums[f"{method} {what}"]) for what in ("planted", "found", "raised"))
        true = sum(sums[f"{method} true"])
        print(f"{method:>10}: recall {found / planted:.2f} ({found:.0f} of {planted:.0f}), precision {true / max(raised, 1):.2f} ({true:.0f} of {raised:.0f})")  # fmt: skip
    delays = [value for name, values in sums.items() if name.startswith("delay") for value in values if value >= 0]
    missed = sum(value < 0 for name, values in sums.items() if name.startswith("delay") for value in values)
    mean = sum(delays) / len(delays) if delays else float("nan")
    print(f"changes of protocols: {len(delays)} found after {mean:.1f} exams on average, {missed} missed; {sum(sums['false drifts']) / sum(sums['weeks']):.2f} false a week")  # fmt: skip
    return 0


def one_seed(seed: int, folder: Path) -> dict[str, float]:
    """Figures of one demo."""
    command = [sys.executable, "-m", "etl", "demo", "--out", str(folder), "--seed", str(seed), "--scale", SCALE, "--days", str(DAYS)]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True)
    home = DataHome.open(folder / "store")
    star = StarReader(home.star).current()
    settings = load_settings(folder / "isocenter.toml")
    truth = json.loads((folder / "truth.json").read_text(encoding="utf-8"))
    last = newest_day(star, settings)
    first = last - timedelta(days=DAYS - KNOWN_AFTER)
    judged = judge(star, first, last, settings.dose.window_weeks)
    planted = _planted(star, home, truth, first, last)
    apart = set(star.text("SELECT exam_key FROM fact_exam_dose WHERE exposure_class <> 'patient'")["exam_key"])
    found = outliers(judged, rules_with([]))
    raised = {one.exam_key for one in found.raised if one.exam_key is not None and one.reader != "limit"}
    limits = {one.exam_key for one in found.raised if one.exam_key is not None and one.reader == "limit"}
    figures = {
        **_scored("isocenter", planted, raised | apart, limits, raised),
        **_scored("fixed", planted, _fixed(judged), set(), None),
        **_scored("z_score", planted, _z_score(judged), set(), None),
        **_changes(truth, found.raised, judged, first),
        "weeks": (last - first).days / 7,
    }
    print(f"seed {seed}: {len(planted)} planted, {int(figures['isocenter found'])} found, {int(figures['isocenter raised'] - figures['isocenter true'])} others raised; {found.explained_by_size} explained by size", flush=True)  # fmt: skip
    return figures


def _planted(star: Star, home: DataHome, truth: dict[str, Any], first: date, last: date) -> Exams:
    exams = star.text("SELECT exam_key, accession_pseudonym, study_uid FROM fact_exam WHERE has_dose_report")
    by_accession = dict(exams.select("accession_pseudonym", "exam_key").iter_rows())
    by_study = dict(exams.select("study_uid", "exam_key").iter_rows())
    keys = set()
    for one in truth["dose_outliers"]:
        if first.isoformat() <= one["day"] <= last.isoformat():
            pseudonym = home.pseudonymiser.pseudonym("order", one["accession"])
            key = by_accession.get(pseudonym) or by_study.get(one["study_uid"])
            if key is not None:
                keys.add(int(key))
    return keys


def _scored(name: str, planted: Exams, found: Exams, also: Exams, raised: Exams | None) -> dict[str, float]:
    counted = found if raised is None else raised
    return {
        f"{name} planted": len(planted),
        f"{name} found": len(planted & (found | also)),
        f"{name} raised": len(counted),
        f"{name} true": len(planted & counted),
    }


def _fixed(judged: Judged) -> Exams:
    """A fixed alert value for each protocol: the 99th percentile of its exams before the judged days."""
    before = judged.rows.filter(pl.col("local_day") < judged.first)
    values = before.group_by("protocol_key").agg(pl.col("value").quantile(0.99).alias("alert"))
    over = judged.exams.join(values, on="protocol_key").filter(pl.col("value") > pl.col("alert"))
    return set(over["exam_key"])


def _z_score(judged: Judged) -> Exams:
    """More than three standard deviations from the mean of the protocol on the scanner, over everything that is known."""
    groups = judged.rows.group_by("protocol_key", "device_id").agg(
        pl.col("value").mean().alias("mean"), pl.col("value").std().alias("sd")
    )
    joined = judged.exams.join(groups, on=["protocol_key", "device_id"])
    return set(joined.filter(((pl.col("value") - pl.col("mean")) / pl.col("sd")).abs() > 3)["exam_key"])


def _changes(truth: dict[str, Any], raised: list[Any], judged: Judged, first: date) -> dict[str, float]:
    """Exams until each planted change of a protocol was seen (-1 where it was not), and changes that are none."""
    drifts = [one for one in raised if one.reader == "drift"]
    figures: dict[str, float] = {}
    true: set[str] = set()
    for story in truth["stories"]:
        if story["kind"] not in {"protocol_dose_step", "protocol_dose_drop"} or story["starts_on"] < first.isoformat():
            continue
        start = date.fromisoformat(story["starts_on"])
        exams = judged.rows.filter(
            (pl.col("protocol_name") == story["protocol"])
            & (pl.col("device_name") == story["device"])
            & (pl.col("age_band") == "adult")
            & (pl.col("local_day") >= start)
        )
        if exams.is_empty():
            continue
        device, protocol = exams.row(0, named=True)["device_id"], exams.row(0, named=True)["protocol_key"]
        hits = [one for one in drifts if one.device_id == device and one.protocol_key == protocol and one.happened_on >= start]  # fmt: skip
        true |= {one.key for one in hits[:1]}
        seen = int(hits[0].key.rpartition("|")[2]) if hits else None
        position = exams["exam_key"].to_list().index(seen) + 1 if seen in set(exams["exam_key"]) else -1
        figures[f"delay {story['kind']}"] = position
    figures["false drifts"] = len([one for one in drifts if one.key not in true])
    return figures


if __name__ == "__main__":
    sys.exit(main())
