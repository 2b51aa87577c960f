"""DICOM objects: image headers, worklist entries, performed steps."""
