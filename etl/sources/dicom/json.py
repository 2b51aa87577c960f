"""DICOM data sets as JSON (PS3.18 annex F), as `dcm2json` and the worklist and MPPS services of archives write them."""

from __future__ import annotations

import json
import re
from typing import Any

from etl.sources.dicom.dataset import DamagedError
from etl.sources.dicom.encoding import TEXT_VRS, Element
from etl.sources.dicom.tags import CHARACTER_SET

_START = re.compile(rb'(?:\xef\xbb\xbf)?\s*+\[?\s*+\{\s*+"[0-9A-Fa-f]{8}"\s*+:\s*+\{')


def is_dicom_json(head: bytes) -> bool:
    """Whether the text starts with an object, or a list of objects, whose first member is a tag."""
    return _START.match(head) is not None


def json_data_sets(content: bytes) -> list[Any]:
    """The data sets of a file, not yet looked into.

    Raises:
        DamagedError: it is no JSON.
    """
    try:
        parsed = json.loads(content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise DamagedError("bad-encoding", f"byte {error.start} is no UTF-8") from error
    except json.JSONDecodeError as error:
        reason = "truncated" if error.pos >= len(error.doc.rstrip()) else "malformed"
        raise DamagedError(reason, f"no JSON from line {error.lineno}, column {error.colno}") from error
    except (RecursionError, ValueError) as error:
        raise DamagedError("malformed", "the JSON is nested too deep or has a number too long") from error
    return parsed if isinstance(parsed, list) else [parsed]


def read_json(data_set: Any, most_nesting: int) -> list[Element]:
    """The elements of one data set; the text of JSON is UTF-8 whatever (0008,0005) says.

    Raises:
        DamagedError: it is not of the form that PS3.18 annex F gives.
    """
    elements = [element for element in _elements(data_set, most_nesting) if element.tag != CHARACTER_SET]
    return [*elements, Element(CHARACTER_SET, "CS", b"ISO_IR 192")]


def _elements(data_set: Any, levels: int) -> list[Element]:
    if not isinstance(data_set, dict):
        raise DamagedError("malformed", "a data set is no JSON object")
    if levels < 0:
        raise DamagedError("nesting-too-deep", "sequences are nested too deep")
    elements = []
    for key, attribute in data_set.items():
        if not re.fullmatch(r"[0-9A-Fa-f]{8}", key) or not isinstance(attribute, dict):
            raise DamagedError("malformed", "a member of a data set is no tag of eight digits with an object")
        tag, vr, values = int(key, 16), attribute.get("vr"), attribute.get("Value", [])
        if not isinstance(values, list):
            raise DamagedError("malformed", f"Value of {key.upper()} is no list")
        if vr == "SQ":
            elements.append(Element(tag, "SQ", [_elements(item, levels - 1) for item in values]))
        elif isinstance(vr, str) and vr in TEXT_VRS:
            text = "\\".join(_text(value, key) for value in values)
            elements.append(Element(tag, vr, text.encode("utf-8", "replace")))
    return elements


def _text(value: Any, key: str) -> str:
    """One value as text; a person's name has up to three groups (PS3.18 F.2.2)."""
    if value is None:
        return ""
    if isinstance(value, dict):
        groups = [value.get(group) or "" for group in ("Alphabetic", "Ideographic", "Phonetic")]
        if all(isinstance(group, str) for group in groups):
            return "=".join(groups).rstrip("=")
    elif isinstance(value, str | int | float) and not isinstance(value, bool):
        return str(value)
    raise DamagedError("malformed", f"a value of {key.upper()} is neither text, number nor name")
