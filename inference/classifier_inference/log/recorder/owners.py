"""A recorder's own folder of the spool, and those that it adopts: whose they are, and what their runs are told."""

import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

from classifier_inference.log.spool.windows import Lock, adopt, list_folders, list_sealed, read_records

FILE = "owner.json"


@dataclass(frozen=True)
class Owner:
    """What can't be read off a record: kept in a folder, since its adopter may serve another revision."""

    classifier: str
    namespace: str
    preprocess: dict[str, str]


def write_owner(folder: Path, owner: Owner) -> None:
    """Say whose folder it is."""
    part = folder / f".{FILE}.part"
    part.write_text(json.dumps(asdict(owner)))
    part.replace(folder / FILE)


def read_owner(folder: Path) -> Owner | None:
    """Return whose folder it is, or None where neither a recorder nor a record says so."""
    try:
        return Owner(**json.loads((folder / FILE).read_text()))
    except (FileNotFoundError, TypeError, ValueError):
        pass
    for window in list_sealed(folder):
        for record in read_records(window.records):
            return Owner(record.classifier, record.namespace, {})
    return None


def adopt_others(spool: Path, own: Path) -> list[tuple[Path, Lock]]:
    """Return the folders of a spool that nobody holds any more, locked."""
    locked = ((folder, adopt(folder)) for folder in list_folders(spool) if folder != own)
    return [(folder, lock) for folder, lock in locked if lock is not None]


def remove_folder(folder: Path) -> None:
    """Delete a folder that was shipped; its lock goes last, and with the last holder."""
    shutil.rmtree(folder, ignore_errors=True)
