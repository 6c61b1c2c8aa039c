"""The page that explains the API, with all it needs: it works without the internet."""

from importlib.resources import files
from typing import Final

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

_UI: Final = files("fastapi_swagger") / "resources"
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:;"
    " connect-src 'self'; frame-ancestors 'none'"
)
_PAGE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Taskloom API</title>
<link rel="stylesheet" href="docs/swagger-ui.css">
</head>
<body>
<div id="ui"></div>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/begin.js"></script>
</body>
</html>
"""
_BEGIN: Final = """SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#ui",
  deepLinking: true,
  persistAuthorization: true,
  tryItOutEnabled: true,
  validatorUrl: null,
});
"""


def explain(app: FastAPI, prefix: str) -> None:
    """Serve the page under a prefix."""

    def told(content: str | bytes, media_type: str) -> Response:
        headers = {"Content-Security-Policy": _POLICY, "Cache-Control": "public, max-age=3600"}
        return Response(content, media_type=media_type, headers=headers)

    async def page(_: Request) -> Response:
        return told(_PAGE, "text/html")

    async def part(request: Request) -> Response:
        name = str(request.path_params["name"])
        if name == "begin.js":
            return told(_BEGIN, "text/javascript")
        kind = _PARTS.get(name)
        if kind is None:
            return Response(status_code=404)
        return told((_UI / name).read_bytes(), kind)

    app.add_route(f"{prefix}/docs", page, include_in_schema=False)
    app.add_route(f"{prefix}/docs/{{name}}", part, include_in_schema=False)


_PARTS: Final = {"swagger-ui-bundle.js": "text/javascript", "swagger-ui.css": "text/css"}
