"""TLS: the context that connections to Splunk are made with: verified unless it is switched off, loudly.

Certificates are renewed while a daemon runs: the context is made anew when one of its files changes.
"""

from __future__ import annotations

import logging
import ssl
import threading
from pathlib import Path

from shipper.config import SplunkHecOutput
from shipper.config.secret import refuse_pipe
from shipper.errors import ConfigError

LOOK_SECONDS = 5.0
"""How often it is looked whether a file has changed."""
log = logging.getLogger(__name__)
_VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


def tls_context(settings: SplunkHecOutput) -> ssl.SSLContext:
    """The context that ``settings`` ask for. Raises ConfigError for certificates that can't be used."""
    if not settings.tls_verify:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    else:
        try:
            refuse_pipe(settings.ca_file)
            context = ssl.create_default_context(cafile=settings.ca_file)
        except (OSError, ssl.SSLError) as error:
            raise ConfigError([f"output {settings.name}: ca_file {settings.ca_file}: {_reason(error)}"]) from error
    context.minimum_version = _VERSIONS[settings.tls_min_version]
    if settings.client_cert_file is not None:
        try:
            refuse_pipe(settings.client_cert_file)
            refuse_pipe(settings.client_key_file)
            # Without a password of its own OpenSSL would ask for one on the terminal.
            context.load_cert_chain(settings.client_cert_file, settings.client_key_file, password=lambda: b"")
        except (OSError, ssl.SSLError, ValueError) as error:
            where = f"client_cert_file {settings.client_cert_file}"
            raise ConfigError([f"output {settings.name}: {where}: {_reason(error)}"]) from error
    return context


def _reason(error: Exception) -> str:
    if isinstance(error, FileNotFoundError | PermissionError):
        return f"{error.strerror}; check the path, and that connlog's user may read it"
    return "holds no certificate or key in PEM form that can be used, or the two do not belong together"


class Trust:
    """The context of ``settings`` as their files are now. For several threads. Raises ConfigError as ``tls_context``."""

    def __init__(self, settings: SplunkHecOutput) -> None:
        self._settings = settings
        files = (settings.ca_file, settings.client_cert_file, settings.client_key_file)
        self._files = [path for path in files if path is not None]
        self._lock = threading.Lock()
        self._seen = self._look()
        self._looked = float("-inf")
        self._context = tls_context(settings)

    def context(self, now: float) -> ssl.SSLContext:
        """The context for a request at ``now``, in monotonic seconds: another one after the files have changed, and the
        one before while what is in them now can't be used."""
        with self._lock:
            if self._files and now - self._looked >= LOOK_SECONDS:
                self._looked = now
                seen = self._look()
                if seen != self._seen:
                    self._seen = seen
                    self._renew()
            return self._context

    def _renew(self) -> None:
        try:
            self._context = tls_context(self._settings)
        except ConfigError as error:
            log.warning("%s; the certificates of before are still used", "; ".join(error.problems))
        else:
            log.info("output %s: the certificates have changed and are read anew", self._settings.name)

    def _look(self) -> list[tuple[int, ...] | None]:
        return [_state(path) for path in self._files]


def _state(path: Path) -> tuple[int, ...] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size
