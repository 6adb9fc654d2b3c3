"""Every form in which workers send codes becomes an image."""

from __future__ import annotations

import base64
from urllib.parse import quote

import pytest

from master.protocol.decoding import decode
from master.protocol.worker import LoginQrCode
from master.web.code_images import SVG, Image, read_code
from tests.web.test_http_logins_messages import PNG, PNG_URL, start_login

MARKUP = '<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
DRAWN = "drawn"
PNG64 = base64.b64encode(PNG).decode()

FORMS = {
    "a data URL": (PNG_URL, "image/png"),
    "a data URL in capitals": ("DATA:IMAGE/PNG;BASE64," + PNG64, "image/png"),
    "a data URL with a charset": ("data:image/png;charset=utf-8;base64," + PNG64, "image/png"),
    "a data URL with blanks": (f" data:image/png; base64,\n{PNG64}\n", "image/png"),
    "a data URL without a type": ("data:;base64," + PNG64, "image/png"),
    "a data URL of bytes": ("data:application/octet-stream;base64," + PNG64, "image/png"),
    "a data URL of text": ("data:text/plain,2%40AbC", DRAWN),
    "Base64": (PNG64, "image/png"),
    "Base64 without padding": (PNG64.rstrip("="), "image/png"),
    "Base64 for URLs": (PNG64.replace("+", "-").replace("/", "_"), "image/png"),
    "Base64 in lines": (
        "\n".join(PNG64[at : at + 8] for at in range(0, len(PNG64), 8)),
        "image/png",
    ),
    "SVG": (MARKUP, SVG),
    "SVG with a prolog": (f"\ufeff<?xml version='1.0'?>\n<!-- code -->\n{MARKUP}", SVG),
    "SVG in a data URL": ("data:image/svg+xml;utf8," + MARKUP, SVG),
    "SVG, percent-encoded": ("data:image/svg+xml;charset=utf-8," + quote(MARKUP), SVG),
    "SVG in Base64": (
        "data:image/svg+xml;base64," + base64.b64encode(MARKUP.encode()).decode(),
        SVG,
    ),
    "a text": ("2@AbC,dEf==,g+h/i=", DRAWN),
    "a link": ("https://example.org/scan?x=1", DRAWN),
    "an app's link": ("wxp://f2f0abc", DRAWN),
    "a text of another script": ("扫码", DRAWN),
}


@pytest.mark.parametrize(("data", "kind"), FORMS.values(), ids=FORMS)
async def test_each_form_of_a_code_is_shown_as_an_image(site, data, kind):
    worker, _, started = await start_login(site)
    await site.show_code(worker, started["session_id"], data)
    answer = await site.ask("GET", f"/api/v1/login-sessions/{started['session_id']}/qr.png")
    assert answer.status == 200
    assert answer.content_type == ("image/png" if kind == DRAWN else kind)
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'")
    assert "script-src" not in policy
    if kind == SVG:
        assert "; sandbox;" in policy
        assert "allow-scripts" not in policy
        assert await answer.text() in (MARKUP, data.removeprefix("\ufeff"), data)
    elif kind == DRAWN:
        assert (await answer.read()).startswith(b"\x89PNG")
    else:
        assert await answer.read() == PNG


REPORTS = {
    "a link alone": ({"qr_code_url": "https://a.example/1"}, "https://a.example/1"),
    "null beside a link": (
        {"qr_code_data": None, "qr_url": "https://a.example/1"},
        "https://a.example/1",
    ),
    "an empty text beside a link": ({"qr_code_data": " ", "login_url": "l://1"}, "l://1"),
    "an odd value beside a link": ({"qr_code_data": 5, "qr_code_url": "l://1"}, "l://1"),
    "another name": ({"qrcode": "2@AbC"}, "2@AbC"),
    "an image": ({"image": PNG_URL}, PNG_URL),
    "an object": ({"qr_code_data": {"type": "png", "base64": PNG64}}, PNG64),
    "a list": ({"qr_code_data": [PNG_URL]}, PNG_URL),
    "an image as link": ({"qr_code_url": PNG_URL + "A" * 5_000}, PNG_URL + "A" * 5_000),
    "both": ({"qr_code_data": PNG_URL, "qr_code_url": "l://1"}, PNG_URL),
}


@pytest.mark.parametrize(("members", "data"), REPORTS.values(), ids=REPORTS)
def test_a_report_has_its_code_where_pages_look_for_it(members, data):
    event = decode(LoginQrCode, {"session_id": "s", **members})
    assert event.qr_code_data == data


@pytest.mark.parametrize(
    "code",
    ["<!-- -->" * 3_000, " " * 100_000, "<?xml" * 5_000, "<!DOCTYPE " * 5_000, "A" * 2_000_000],
)
def test_no_form_takes_long_to_read(code):
    assert not isinstance(read_code(code), Image)


NO_CODES = [
    "", " ", "data:", "data:,", "data:image/png;base64,", "data:image/bmp;base64,Qk0=", "<p>",
    '<!DOCTYPE svg [<!ENTITY a "b">]><svg/>', "<svg><!ENTITY></svg>",
]  # fmt: skip


@pytest.mark.parametrize("code", NO_CODES)
def test_what_is_no_code_is_none(code):
    assert read_code(code) is None
