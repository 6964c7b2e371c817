"""Calls a server with the official Python SDK and tells what came back, as JSON lines.

Usage: python_story.py URL TOKEN ERA < calls.json        ERA: legacy | modern

calls.json is a list: [{"op":"list_tools"}, {"op":"call","name":"...","arguments":{...}}, ...]; further operations are
list_resources, list_resource_templates, read_resource (uri), list_prompts, get_prompt (name, arguments).
The first line tells the connection, then comes one line for each call:
  {"op":"connect","protocolVersion":"...","era":"...","server":"..."}
  {"op":"list_tools","tools":[...]}
  {"op":"call","name":"...","isError":false,"structuredContent":{...},"content":[...]}
  {"op":"...","error":{"code":-32602,"message":"...","data":...}}         what the server refused by protocol
  {"op":"...","failure":"..."}                                            what went wrong outside the protocol
The exit code is 0 when every call was made, whatever the answers; 1 when no connection came about.
"""

import asyncio
import json
import sys
from typing import Any

from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client
from mcp.shared.exceptions import MCPError

# `auto` asks with server/discover and falls back to the handshake; `legacy` is the handshake at once.
MODES = {"legacy": "legacy", "modern": "auto"}
MODERN_VERSION = "2026-07-28"


def emit(line: dict[str, Any]) -> None:
    print(json.dumps(line, separators=(",", ":")), flush=True)


def plain(model: Any) -> Any:
    return model.model_dump(mode="json", by_alias=True, exclude_none=True)


def unwrap(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error


def refusal(error: BaseException) -> dict[str, Any]:
    error = unwrap(error)
    if isinstance(error, MCPError):
        return {"error": {"code": error.code, "message": error.message, "data": error.data}}
    return {"failure": f"{type(error).__name__}: {error}"}


async def perform(client: Client, call: dict[str, Any]) -> dict[str, Any]:
    match call["op"]:
        case "list_tools":
            result = await client.list_tools()
            return {"tools": [tool.name for tool in result.tools]}
        case "call":
            result = await client.call_tool(call["name"], call.get("arguments") or {})
            told = plain(result)
            return {
                "name": call["name"],
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
            return {"uri": call["uri"], "contents": plain(await client.read_resource(call["uri"]))["contents"]}
        case "list_prompts":
            return {"prompts": [item.name for item in (await client.list_prompts()).prompts]}
        case "get_prompt":
            result = await client.get_prompt(call["name"], call.get("arguments") or {})
            return {"name": call["name"], "messages": plain(result)["messages"]}
        case other:
            raise ValueError(f"unknown operation {other!r}")


async def story(url: str, token: str, era: str, calls: list[dict[str, Any]]) -> int:
    connected = False
    try:
        async with create_mcp_http_client(headers={"Authorization": f"Bearer {token}"}) as http:
            transport = streamable_http_client(url, http_client=http)
            async with Client(transport, mode=MODES[era], read_timeout_seconds=30, cache=None) as client:
                connected = True
                version = client.protocol_version
                emit({
                    "op": "connect",
                    "protocolVersion": version,
                    "era": "modern" if version >= MODERN_VERSION else "legacy",
                    "server": client.server_info.name if client.server_info else None,
                })
                for call in calls:
                    try:
                        emit({"op": call["op"], **await perform(client, call)})
                    except Exception as error:  # told to the caller, who decides whether it was expected
                        emit({"op": call["op"], **refusal(error)})
    except Exception as error:
        emit({"op": "disconnect" if connected else "connect", **refusal(error)})
        return 1
    return 0


def main() -> int:
    if len(sys.argv) != 4 or sys.argv[3] not in MODES:
        print("usage: python_story.py URL TOKEN legacy|modern < calls.json", file=sys.stderr)
        return 2
    calls = json.load(sys.stdin)
    return asyncio.run(story(sys.argv[1], sys.argv[2], sys.argv[3], calls))


if __name__ == "__main__":
    sys.exit(main())
