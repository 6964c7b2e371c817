"""Connects with the official Python SDK by its own OAuth client and tells what came of it, as JSON lines.

Usage: python_oauth.py URL ERA        ERA: legacy | modern

Says {"op":"authorize","url":"..."} where a person would be asked, and reads from standard input a line with the address the
browser was led back to. Then, as JSON lines: connect, list_tools, context.
"""

import asyncio
import json
import sys
from typing import Any
from urllib.parse import parse_qs, urlsplit

from mcp import Client
from mcp.client.auth import AuthorizationCodeResult, OAuthClientProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client
from mcp.shared.auth import OAuthClientMetadata

MODES = {"legacy": "legacy", "modern": "auto"}
REDIRECT = "http://127.0.0.1:45672/callback"


def emit(line: dict[str, Any]) -> None:
    print(json.dumps(line, separators=(",", ":")), flush=True)


class Kept:
    """What the client keeps, in memory."""

    def __init__(self) -> None:
        self.tokens = None
        self.client = None

    async def get_tokens(self):
        return self.tokens

    async def set_tokens(self, tokens) -> None:
        self.tokens = tokens

    async def get_client_info(self):
        return self.client

    async def set_client_info(self, client) -> None:
        self.client = client


async def ask(address: str) -> None:
    emit({"op": "authorize", "url": address})


async def answered():
    back = await asyncio.to_thread(sys.stdin.readline)
    said = {name: values[0] for name, values in parse_qs(urlsplit(back.strip()).query).items()}
    return AuthorizationCodeResult(code=said["code"], state=said.get("state"), iss=said.get("iss"))


async def story(url: str, era: str) -> None:
    metadata = OAuthClientMetadata(
        client_name="Python SDK",
        redirect_uris=[REDIRECT],
        grant_types=["authorization_code", "refresh_token"],
        response_types=["code"],
        token_endpoint_auth_method="none",
    )
    auth = OAuthClientProvider(
        server_url=url, client_metadata=metadata, storage=Kept(), redirect_handler=ask, callback_handler=answered
    )
    async with create_mcp_http_client(auth=auth) as http:
        transport = streamable_http_client(url, http_client=http)
        async with Client(transport, mode=MODES[era], read_timeout_seconds=60, cache=None) as client:
            emit({"op": "connect", "protocolVersion": client.protocol_version})
            emit({"op": "list_tools", "tools": [tool.name for tool in (await client.list_tools()).tools]})
            answer = await client.call_tool("loopiq_get_context", {})
            told = answer.model_dump(mode="json", by_alias=True, exclude_none=True)
            emit({"op": "context", "structuredContent": told.get("structuredContent")})


def main() -> int:
    try:
        asyncio.run(story(sys.argv[1], sys.argv[2]))
    except BaseException as error:
        while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
            error = error.exceptions[0]
        emit({"op": "failure", "failure": f"{type(error).__name__}: {error}"})
    return 0


if __name__ == "__main__":
    sys.exit(main())
