"""TLS: the context that connections to Splunk are made with: verified unless it is switched off, loudly."""

from __future__ import annotations

import ssl

from shipper.config import SplunkHecOutput
from shipper.errors import ConfigError

_VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


def tls_context(settings: SplunkHecOutput) -> ssl.SSLContext:
    """The context that ``settings`` ask for. Raises ConfigError for certificates that can't be used."""
    if not settings.tls_verify:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    else:
        try:
            context = ssl.create_default_context(cafile=settings.ca_file)
        except (OSError, ssl.SSLError) as error:
            raise ConfigError([f"output {settings.name}: ca_file {settings.ca_file}: {_reason(error)}"]) from error
    context.minimum_version = _VERSIONS[settings.tls_min_version]
    if settings.client_cert_file is not None:
        try:
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
