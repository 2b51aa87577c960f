"""How much was done, and what was not."""

from __future__ import annotations

from sqlalchemy import func

from warehouse.measures.measure import Measure, over, over_exams, share
from warehouse.schema import fact_exam, fact_planned_volume

_exam = fact_exam.c

MEASURES = (
    Measure(
        "exams",
        "Exams",
        "",
        "neither",
        "Number of exams that took place, by the local day of their start.",
        "Exam times from MPPS, image headers or ORC-5; images; dose reports; reports.",
        "Phantom, service and test patients; orders that were not performed.",
        over_exams(func.count(), _exam.is_performed),
        additive=True,
        permission="view_executive",
    ),
    Measure(
        "planned_exams",
        "Planned exams",
        "",
        "neither",
        "Sum of the imported volume plan over the days; a month's exams are spread evenly over its days.",
        "Volume plan imported on the page Plan, by site, modality and month.",
        "Sites and modalities without a plan; the plan knows no class, priority, procedure or scanner.",
        over(fact_planned_volume, func.sum(fact_planned_volume.c.planned_exams)),
        additive=True,
        permission="view_executive",
        counts_patients=False,
    ),
    Measure(
        "orderless_share",
        "Exams without an order",
        "%",
        "down",
        "Exams with images or dose and no order or appointment, divided by all performed exams.",
        "Matching of images with orders by accession, study and order numbers.",
        "Phantom and service exams.",
        over_exams(share(~_exam.has_order), _exam.is_performed),
        minimum_n=20,
        decimals=1,
        permission="view_data",
    ),
    Measure(
        "worklist_share",
        "Worklist used",
        "%",
        "up",
        "Exams whose series name a worklist entry, divided by all exams with images.",
        "(0040,0275) Request Attributes Sequence, (0008,0050) matched to an order.",
        "Exams without images.",
        over_exams(share(_exam.worklist_used), _exam.has_images),
        minimum_n=20,
        decimals=1,
        permission="view_data",
    ),
    Measure(
        "unbilled_share",
        "Reported exams without a charge",
        "%",
        "down",
        "Exams with a final report and no charge that stands, divided by all exams with a final report.",
        "OBR-25 F; DFT FT1; charge extract.",
        "Exams without a final report.",
        over_exams(share(~_exam.has_charge), _exam.final_at.is_not(None)),
        minimum_n=20,
        decimals=1,
        permission="view_executive",
        notes="Charges follow the report by days: the newest week is always higher.",
    ),
)
