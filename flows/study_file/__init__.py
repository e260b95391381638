"""The way from a YAML file to a trusted protocol."""

from flows.study_file.load import LoadedStudy, load_instruments, load_study, study_digest
from flows.study_file.schema import schema_text, study_json_schema, write_schema

__all__ = [
    "LoadedStudy",
    "load_instruments",
    "load_study",
    "schema_text",
    "study_digest",
    "study_json_schema",
    "write_schema",
]
