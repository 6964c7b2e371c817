"""Calls a server with the client of FastMCP (`fastmcp-slim`). What it is told and what it tells is in story.py."""

import os
import sys
import warnings
from typing import Any

from fastmcp import Client
from fastmcp.client.auth import OAuth
from fastmcp.client.auth.client_credentials import ClientCredentialsOAuthProvider

import story

# That what it keeps in memory is gone afterwards is meant here.
warnings.filterwarnings("ignore", message="Using in-memory token storage")


class Asked(OAuth):
    """Its sign-in, with the person and the browser outside."""

    async def redirect_handler(self, authorization_url: str) -> None:
        await story.ask(authorization_url)

    async def callback_handler(self):
        return await story.answered()


def auth(way: str):
    if way == "token":
        return os.environ["LOOPIQ_TOKEN"]
    if way == "machine":
        return ClientCredentialsOAuthProvider(**story.machine())
    return Asked(client_name="FastMCP")


async def perform(client: Client, step: dict[str, Any]) -> dict[str, Any]:
    match step["op"]:
        case "list_tools":
            return {"tools": [tool.name for tool in await client.list_tools()]}
        case "call":
            told = await client.call_tool(step["name"], step.get("arguments") or {}, raise_on_error=False)
            return {
                "name": step["name"],
                "isError": told.is_error,
                "structuredContent": told.structured_content,
                "content": [story.plain(block) for block in told.content],
            }
        case "list_resources":
            return {"resources": [str(item.uri) for item in await client.list_resources()]}
        case "list_resource_templates":
            return {"resourceTemplates": [item.uri_template for item in await client.list_resource_templates()]}
        case "read_resource":
            uri = step.get("uri") or str((await client.list_resources())[0].uri)
            return {"uri": uri, "contents": [story.plain(item) for item in await client.read_resource(uri)]}
        case "list_prompts":
            return {"prompts": [item.name for item in await client.list_prompts()]}
        case "get_prompt":
            listed = await client.list_prompts()
            prompt = next(item for item in listed if step.get("name") in (None, item.name))
            result = await client.get_prompt(prompt.name, story.prompt_arguments(prompt, step))
            return {"name": prompt.name, "messages": story.plain(result)["messages"]}
        case other:
            raise ValueError(f"unknown operation {other!r}")


async def run(url: str, era: str, way: str) -> None:
    async with Client(url, auth=auth(way), mode=story.MODES[era], timeout=60) as client:
        await story.follow(client.protocol_version, lambda step: perform(client, step))


if __name__ == "__main__":
    sys.exit(story.main(run))
