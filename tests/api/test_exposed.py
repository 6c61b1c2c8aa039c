"""What is open to the world, and what is not."""

import asyncio
import re
import ssl
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

import httpx2
import pytest
import uvicorn
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from api.app import create_app
from infra.processes.api import served
from infra.settings import Settings
from infra.settings_of_api import Http
from tests.api.conftest import app_alone


@pytest.fixture
def tls(tmp_path: Path) -> Http:
    """A certificate for this machine that was signed by itself."""
    key = Ed25519PrivateKey.generate()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "taskloom")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False
        )
        .sign(key, None)
    )
    private_key, chain = tmp_path / "key.pem", tmp_path / "cert.pem"
    private_key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    chain.write_bytes(certificate.public_bytes(Encoding.PEM))
    return Http(port=0, certificate=chain, private_key=private_key)


async def test_with_a_certificate_the_api_speaks_tls_only(tls: Http) -> None:
    server = uvicorn.Server(served(app_alone(), tls))
    serving = asyncio.create_task(server._serve())
    while not server.started:  # noqa: ASYNC110 # it tells nobody
        await asyncio.sleep(0.01)
    place = f"127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    try:
        trusting = ssl.create_default_context(cafile=tls.certificate)
        async with httpx2.AsyncClient(verify=trusting) as http:
            assert (await http.get(f"https://{place}/livez")).status_code == 200
        async with httpx2.AsyncClient() as stranger:
            with pytest.raises(httpx2.TransportError):
                await stranger.get(f"http://{place}/livez")
            with pytest.raises(httpx2.TransportError):
                await stranger.get(f"https://{place}/livez")
    finally:
        server.should_exit = True
        await serving


@pytest.mark.proves("S-19a")
async def test_where_nobody_develops_the_api_need_not_describe_itself() -> None:
    silent = create_app(replace(app_alone().state.deps, docs=False))
    transport = httpx2.ASGITransport(silent)
    async with httpx2.AsyncClient(transport=transport, base_url="http://taskloom") as http:
        for path in ("docs", "openapi.json", "redoc"):
            assert (await http.get(f"/api/v1/{path}")).status_code == 404


async def test_the_page_that_explains_the_api_needs_nothing_from_elsewhere(
    front: httpx2.AsyncClient,
) -> None:
    page = await front.get("/api/v1/docs")
    assert page.status_code == 200
    assert "//" not in page.text.replace("<!doctype html>", "")
    assert "script-src 'self';" in page.headers["content-security-policy"]
    for part in re.findall(r'(?:src|href)="([^"]+)"', page.text):
        served_part = await front.get(f"/api/v1/{part}")
        assert served_part.status_code == 200, part
        assert len(served_part.content) > 100
    assert (await front.get("/api/v1/docs/other.js")).status_code == 404


@pytest.mark.proves("S-19b")
def test_as_it_comes_it_listens_to_this_machine_only() -> None:
    assert Settings(_env_file=None).http.host == "127.0.0.1"
