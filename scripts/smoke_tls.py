"""smoke_tls.py BINARY: the built executable makes one TLS call, to a server with a certificate of our own making.

`doctor` asks the upstream for a sign of life; here the upstream is `https://localhost:PORT`, whose authority the
executable is told to trust the way a person would: `SSL_CERT_FILE`. The server says whether the handshake was
completed, so nothing is taken on faith.
"""

from __future__ import annotations

import os
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import trustme


def main(binary: str) -> int:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost", "127.0.0.1").configure_cert(context)
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(30)
    port = listener.getsockname()[1]
    seen: list[str] = []

    def serve() -> None:
        while True:
            try:
                plain, _ = listener.accept()
            except OSError:
                return
            try:
                with context.wrap_socket(plain, server_side=True) as stream:
                    line = stream.recv(4096).split(b"\r", 1)[0].decode()
                    seen.append(f"{stream.version()} {line}")
                    stream.sendall(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}")
            except OSError as error:
                print(f"handshake refused: {error}", file=sys.stderr)

    threading.Thread(target=serve, daemon=True).start()
    with tempfile.TemporaryDirectory() as folder:
        roots = Path(folder) / "roots.pem"
        authority.cert_pem.write_to_path(str(roots))
        environment = {
            "HOME": folder,
            "TMPDIR": folder,
            "KIROTRIO_DATA_DIR": folder,
            "KIROTRIO_UPSTREAM_URL": f"https://localhost:{port}",
            "KIRO_API_KEY": "ksk_smoke_test_key_of_no_value",
            "KIROTRIO_UPSTREAM_CERTIFICATES": "system",
            "SSL_CERT_FILE": str(roots),
        }
        result = subprocess.run([binary, "doctor"], env=environment, capture_output=True, text=True, timeout=60)
    listener.close()
    if not seen:
        print(result.stdout, result.stderr, "the executable made no TLS call", sep="\n", file=sys.stderr)
        return 1
    print(f"TLS call: {seen[0]}")
    return 0


if __name__ == "__main__":
    os.environ.pop("PYTHONPATH", None)
    sys.exit(main(sys.argv[1]))
