"""An authority of the tests' own: contexts for servers with TLS, and the files a client needs to trust or be known."""

from __future__ import annotations

import ssl
from pathlib import Path

import trustme


class Authority:
    """Issues certificates for ``localhost`` and ``127.0.0.1``; ``ca_file`` is what a client trusts."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._authority = trustme.CA()
        self.ca_file = folder / "ca.pem"
        self._authority.cert_pem.write_to_path(str(self.ca_file))

    def server(
        self, *names: str, client_certificates: bool = False, newest: ssl.TLSVersion | None = None
    ) -> ssl.SSLContext:
        """A server's context; ``names`` other than its own make a host name check fail, ``newest`` caps the version."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._authority.issue_cert(*(names or ("localhost", "127.0.0.1"))).configure_cert(context)
        if client_certificates:
            context.verify_mode = ssl.CERT_REQUIRED
            self._authority.configure_trust(context)
        if newest is not None:
            context.maximum_version = newest
        return context

    def client(self, name: str = "connlog") -> tuple[Path, Path]:
        """A client's certificate and key in files."""
        leaf = self._authority.issue_cert(f"{name}@example.com")
        certificate, key = self._folder / f"{name}.pem", self._folder / f"{name}.key"
        leaf.cert_chain_pems[0].write_to_path(str(certificate))
        leaf.private_key_pem.write_to_path(str(key))
        return certificate, key
