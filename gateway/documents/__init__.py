"""Strict YAML with positions: the one door to yaml. What two readers might read apart is refused.

Every problem is a `Diagnostic`: file, line, what is wrong and, where we can tell, the cure.
"""

from gateway.documents.diagnostic import Diagnostic, Invalid, KeyPath, Severity, warnings_of
from gateway.documents.document import Document, load_document
from gateway.documents.shapes import suggest

__all__ = [
    "Diagnostic",
    "Document",
    "Invalid",
    "KeyPath",
    "Severity",
    "load_document",
    "suggest",
    "warnings_of",
]
