"""The SHA-256 of a model file, computed by another thread beside the lint."""

from __future__ import annotations

import os
import threading
import time

import msgspec

from onnxlint.filebytes import identity_of, open_regular
from onnxlint.load import LoadedModel
from onnxlint.report import Report

_PIECE = 1 << 20


class Digest:
    """All of the file is read for it, weights too: where that takes longer than `seconds`, the report says so."""

    def __init__(self, loaded: LoadedModel, seconds: float) -> None:
        self._loaded, self._seconds = loaded, seconds
        self._until = time.monotonic() + seconds
        self._found = loaded.sha256
        self._stopped = threading.Event()
        # a read may hang with its disk, which must not keep the process from ending
        self._thread = threading.Thread(target=self._read, daemon=True)
        if loaded.sha256 is None:
            self._thread.start()

    def added_to(self, report: Report) -> Report:
        """The report with the digest; null where the file was changed or replaced since it was linted."""
        notes = report.model.notes
        if self._loaded.sha256 is None:
            self._thread.join(max(0.0, self._until - time.monotonic()))
            if self._thread.is_alive():
                notes = (*notes, f"its SHA-256 took longer than {self._seconds:g} s (raise --timeout)")
        model = msgspec.structs.replace(report.model, sha256=self._found, notes=notes)
        return msgspec.structs.replace(report, model=model)

    def stop(self) -> None:
        """No more reports are to come."""
        self._stopped.set()

    def _read(self) -> None:
        import hashlib

        digest = hashlib.sha256()
        try:
            with open(open_regular(self._loaded.path), "rb", buffering=0) as file:
                if identity_of(os.fstat(file.fileno())) != self._loaded.identity:
                    return
                while (piece := file.read(_PIECE)) and not self._stopped.is_set():
                    digest.update(piece)
                if identity_of(os.fstat(file.fileno())) == self._loaded.identity and not self._stopped.is_set():
                    self._found = digest.hexdigest()
        except OSError:
            return
