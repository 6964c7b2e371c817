"""Calls a server with the official Python SDK (`mcp`). What it is told and what it tells is in story.py."""

import os
import sys
from contextlib import asynccontextmanager
from typing import Any

from mcp import Client
from mcp.client.auth import OAuthClientProvider
from mcp.client.auth.extensions.client_credentials import ClientCredentialsOAuthProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client
from mcp.shared.auth import OAuthClientMetadata

import story

REDIRECT = "http://127.0.0.1:45672/callback"


async def perform(client: Client, step: dict[str, Any]) -> dict[str, Any]:
    match step["op"]:
        case "list_tools":
            return {"tools": [tool.name for tool in (await client.list_tools()).tools]}
        case "call":
            told = story.plain(await client.call_tool(step["name"], step.get("arguments") or {}))
            return {
                "name": step["name"],
                "isError": bool(told.get("isError", False)),
                "structuredContent": told.get("structuredContent"),
                "content": told.get("content"),
            }
        case "list_resources":
            return {"resources": [str(item.uri) for item in (await client.list_resources()).resources]}
        case "list_resource_templates":
            result = await client.list_resource_templates()
            return {"resourceTemplates": [item.uri_template for item in result.resource_templates]}
        case "read_resource":
            uri = step.get("uri") or str((await client.list_resources()).resources[0].uri)
            return {"uri": uri, "contents": story.plain(await client.read_resource(uri))["contents"]}
        case "list_prompts":
            return {"prompts": [item.name for item in (await client.list_prompts()).prompts]}
        case "get_prompt":
            listed = (await client.list_prompts()).prompts
            prompt = next(item for item in listed if step.get("name") in (None, item.name))
            result = await client.get_prompt(prompt.name, story.prompt_arguments(prompt, step))
            return {"name": prompt.name, "messages": story.plain(result)["messages"]}
        case other:
            raise ValueError(f"unknown operation {other!r}")


@asynccontextmanager
async def connection(url: str, way: str):
    kept = story.Kept()
    if way == "token":
        auth, headers = None, {"Authorization": f"Bearer {os.environ['LOOPIQ_TOKEN']}"}
    elif way == "machine":
        auth, headers = ClientCredentialsOAuthProvider(url, kept, **story.machine()), None
    else:
        metadata = OAuthClientMetadata(
            client_name="Python SDK",
            redirect_uris=[REDIRECT],
            grant_types=["authorization_code", "refresh_token"],
            response_types=["code"],
            token_endpoint_auth_method="none",
        )
        auth, headers = OAuthClientProvider(
            server_url=url,
            client_metadata=metadata,
            storage=kept,
            redirect_handler=story.ask,
            callback_handler=story.answered,
        ), None
    async with create_mcp_http_client(auth=auth, headers=headers) as http:
        yield streamable_http_client(url, http_client=http)


async def run(url: str, era: str, way: str) -> None:
    async with connection(url, way) as transport:
        async with Client(transport, mode=story.MODES[era], read_timeout_seconds=60, cache=None) as client:
            await story.follow(client.protocol_version, lambda step: perform(client, step))


if __name__ == "__main__":
    sys.exit(story.main(run))
