"""What the scripts of the Python clients share. Each is called alike, and so are those of the TypeScript clients and the Inspector:

    SCRIPT URL ERA WAY        ERA: legacy | modern        WAY: token | oauth | machine

token: LOOPIQ_TOKEN is sent as it is. oauth: the client signs in by its own OAuth code; where a person would be asked it says
{"op":"authorize","url":"..."}, and reads a line with the address the browser was led back to. machine: client credentials
from LOOPIQ_CLIENT_ID and LOOPIQ_CLIENT_SECRET, of the server LOOPIQ_ISSUER.

Then each line of standard input is a step, or a list of steps, and each step is answered by a line of its own:

    {"op":"list_tools"}                                      {"op":"list_tools","tools":[...]}
    {"op":"call","name":"...","arguments":{...}}             {"op":"call","isError":false,"structuredContent":{...},"content":[...]}
    {"op":"list_resources"}                                  {"op":"list_resources","resources":[...]}
    {"op":"list_resource_templates"}                         {"op":"list_resource_templates","resourceTemplates":[...]}
    {"op":"read_resource","uri":"..."}                       {"op":"read_resource","uri":"...","contents":[...]}
    {"op":"list_prompts"}                                    {"op":"list_prompts","prompts":[...]}
    {"op":"get_prompt","name":"...","arguments":{...}}       {"op":"get_prompt","name":"...","messages":[...]}
    {"op":"spoil_token"}                                     {"op":"spoil_token"}: it must be refreshed (oauth, TypeScript alone)
    {"op":"rotated"}                                         {"op":"rotated","rotated":true}: the refresh token is another since

Without uri or name, the first that is listed is taken; an argument that it needs and that is not given is `value` of the step.
What the server refuses by protocol is {"op":"...","error":{"code":-32602,"message":"...","data":...}}, what goes wrong outside
of it {"op":"...","failure":"..."}. The first line tells the connection: {"op":"connect","protocolVersion":"..."}. The exit code
is 0 when every step was made, whatever the answers; 1 when no connection came about.
"""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

from mcp.client.auth import AuthorizationCodeResult
from mcp.shared.exceptions import MCPError

WAYS = ("token", "oauth", "machine")
# `auto` asks with server/discover and falls back to the handshake; `legacy` is the handshake at once.
MODES = {"legacy": "legacy", "modern": "auto"}


def emit(line: dict[str, Any]) -> None:
    print(json.dumps(line, separators=(",", ":")), flush=True)


def plain(model: Any) -> Any:
    return model.model_dump(mode="json", by_alias=True, exclude_none=True)


def refusal(error: BaseException) -> dict[str, Any]:
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    if isinstance(error, MCPError):
        return {"error": {"code": error.code, "message": error.message, "data": error.data}}
    return {"failure": f"{type(error).__name__}: {error}"}


async def line() -> str:
    return (await asyncio.to_thread(sys.stdin.readline)).strip()


async def steps() -> AsyncIterator[dict[str, Any]]:
    while text := await line():
        read = json.loads(text)
        for step in read if isinstance(read, list) else [read]:
            yield step


async def ask(address: str) -> None:
    emit({"op": "authorize", "url": address})


async def answered() -> AuthorizationCodeResult:
    said = {name: values[0] for name, values in parse_qs(urlsplit(await line()).query).items()}
    return AuthorizationCodeResult(code=said["code"], state=said.get("state"), iss=said.get("iss"))


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


def machine() -> dict[str, str]:
    """How a machine proves itself: identifier, secret, and the server they belong to."""
    told = {"client_id": "LOOPIQ_CLIENT_ID", "client_secret": "LOOPIQ_CLIENT_SECRET", "issuer": "LOOPIQ_ISSUER"}
    return {name: os.environ[variable] for name, variable in told.items()}


def prompt_arguments(prompt: Any, step: dict[str, Any]) -> dict[str, str]:
    given = step.get("arguments") or {}
    needed = {argument.name: step["value"] for argument in prompt.arguments or [] if argument.required and "value" in step}
    return {**needed, **given}


async def follow(version: str, perform: Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]) -> None:
    """Tells the connection, then makes the steps."""
    emit({"op": "connect", "protocolVersion": version})
    async for step in steps():
        try:
            emit({"op": step["op"], **await perform(step)})
        except Exception as error:  # told to the caller, who decides whether it was expected
            emit({"op": step["op"], **refusal(error)})


def main(story: Callable[[str, str, str], Awaitable[None]]) -> int:
    arguments = sys.argv[1:]
    if len(arguments) != 3 or arguments[1] not in MODES or arguments[2] not in WAYS:
        print(f"usage: {sys.argv[0]} URL legacy|modern token|oauth|machine < steps", file=sys.stderr)
        return 2
    try:
        asyncio.run(story(*arguments))
    except BaseException as error:
        emit({"op": "connect", **refusal(error)})
        return 1
    return 0
