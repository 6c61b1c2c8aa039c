"""Where a webhook may point, and how it is signed."""

import base64
import hashlib
import hmac
from collections.abc import Sequence

import pytest

from bus.addresses import BadWebhook, Unresolved, address_of
from bus.webhooks import BadSecret, key_of, new_secret, signature


async def outside(name: str, port: int) -> Sequence[str]:
    return ["93.184.216.34"]


@pytest.mark.proves("S-9a")
@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "fe80::1%eth0",
        "fd00::1",
        "::ffff:127.0.0.1",
        "2002:7f00:1::",
        "fec0::1",
        "::127.0.0.1",
        "::ffff:0:10.0.0.1",
        "64:ff9b::10.0.0.1",
        "64:ff9b:1::10.0.0.1",
        "2001:0:4136:e378:8000:63bf:80ff:fffe",  # by way of Teredo: 127.0.0.1
    ],
)
async def test_a_webhook_does_not_point_inside(address: str) -> None:
    async def inside(name: str, port: int) -> Sequence[str]:
        return ["93.184.216.34", address]

    with pytest.raises(BadWebhook, match="not outside"):
        await address_of("https://hooks.example/x", resolve=inside)


@pytest.mark.proves("S-9d")
@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "gopher://hooks.example/",
        "//hooks.example/",
        "https://",
        "https://user:secret@hooks.example/",
        "https://hooks.example/#part",
        "https://hooks.example:0/",
        "https://hooks.example:99999/",
        "https://hooks.example/\r\nx: y",
        "https://hoöks.example/",
        "https://hooks.example/" + "a" * 2_000,
    ],
)
async def test_what_is_no_url_of_a_webhook_is_refused(url: str) -> None:
    with pytest.raises(BadWebhook):
        await address_of(url, resolve=outside)


@pytest.mark.proves("S-9b")
async def test_the_address_that_was_looked_at_is_the_one_that_is_connected_to() -> None:
    found = await address_of("https://hooks.example:8443/a/b?c=d", resolve=outside)
    assert found.connect == "https://93.184.216.34:8443/a/b?c=d"
    assert (found.host, found.name) == ("hooks.example:8443", "hooks.example")


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:2800:220:1::1", "64:ff9b::5db8:d822"])
async def test_a_webhook_points_outside(address: str) -> None:
    async def there(name: str, port: int) -> Sequence[str]:
        return [address]

    found = await address_of("https://hooks.example/x", resolve=there)
    assert found.connect in (f"https://{address}:443/x", f"https://[{address}]:443/x")


async def test_hosts_that_a_setting_names_may_be_inside() -> None:
    async def inside(name: str, port: int) -> Sequence[str]:
        return ["127.0.0.1"]

    allowed = ["erp.internal", "other.internal:9000"]
    assert await address_of("http://erp.internal/", allowed=allowed, resolve=inside)
    assert await address_of("http://other.internal:9000/", allowed=allowed, resolve=inside)
    with pytest.raises(BadWebhook):
        await address_of("http://other.internal:22/", allowed=allowed, resolve=inside)


async def test_a_name_without_an_address_may_have_one_later() -> None:
    async def nowhere(name: str, port: int) -> Sequence[str]:
        return []

    with pytest.raises(Unresolved):
        await address_of("https://hooks.example/", resolve=nowhere)


def test_a_signature_is_that_of_standard_webhooks() -> None:
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    body = b'{"test": 2432232314}'
    key = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    signed = b"msg_p5jXN8AQM9LWM0D4loKWxJek.1614265330." + body
    expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    assert expected == "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="  # as the specification has it
    assert signature(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body) == f"v1,{expected}"


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_c2hvcnQ=", "whsec_ä", "x" * 40])
def test_a_secret_has_a_form(secret: str) -> None:
    assert len(key_of(new_secret())) == 32
    with pytest.raises(BadSecret):
        key_of(secret)
