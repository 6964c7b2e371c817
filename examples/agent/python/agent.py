"""A custom agent: finds a release that is blocked, proposes the work that would unblock it, and tells what became of it.

    LOOPIQ_URL             address of the server, for example https://loopiq.example.com/mcp
    LOOPIQ_TOKEN           a bearer token, best that of an agent; or, instead of it, those of a machine:
    LOOPIQ_CLIENT_ID       LOOPIQ_CLIENT_SECRET

    pip install -r requirements.txt && python agent.py

It proposes and never approves: that a person does, at the link it prints. Run it again at any time; the same work is proposed once.
"""

import asyncio
import hashlib
import json
import os
import sys
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from mcp import Client
from mcp.client.auth.extensions.client_credentials import ClientCredentialsOAuthProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client

CREATE = "loopiq_create_remediation_work_package"
ATTEMPTS = 3
POLL_SECONDS = 2
# A package has at most 50 tasks, a task at most 50 references.
TASKS_MAX = 50
REFERENCES_MAX = 50


class Refused(Exception):
    """What the server does not do, with what to do instead."""

    def __init__(self, error: dict) -> None:
        self.code = error["code"]
        self.remedy = error["remedy"]
        details = "".join(f"\n  {detail['field']} {detail['message']}" for detail in error.get("details", []))
        super().__init__(f"{self.code}: {error['message']}{details}\n  {self.remedy}")


async def use(client: Client, tool: str, **arguments):
    """Calls a tool; again, where the server says that the same call may succeed later."""
    for attempt in range(1, ATTEMPTS + 1):
        result = await client.call_tool(tool, arguments)
        if not result.is_error:
            return result.structured_content
        error = result.structured_content["error"]
        if not error["retryable"] or attempt == ATTEMPTS:
            raise Refused(error)
        await asyncio.sleep(error.get("retryAfterSeconds", 1))


async def every(client: Client, tool: str, **arguments):
    """All items of a list, page after page."""
    cursor = {}
    while True:
        page = await use(client, tool, **arguments, **cursor)
        for item in page["items"]:
            yield item
        if "nextCursor" not in page:
            return
        cursor = {"cursor": page["nextCursor"]}


async def blocked(client: Client):
    """The certification that is blocked and has most to do."""
    found = [item async for item in every(client, "loopiq_list_release_certifications") if item["status"] == "blocked"]
    return max(found, key=lambda item: item["openGapCount"] + item["openBlockerCount"], default=None)


async def package(client: Client, certification: dict, reason: str) -> dict | None:
    """The work that would unblock it: a task for each gap, and one for the findings of each component."""
    release = certification["release"]["id"]
    tasks = {}

    def task(title: str, kind: str, record: dict) -> None:
        references = tasks.setdefault(title[:200], [])
        if len(references) < REFERENCES_MAX:
            references.append({"kind": kind, "id": record["id"]})

    async for gap in every(client, "loopiq_list_evidence_gaps", release=release, status=["open"], blocking=True):
        print(f"  gap      {gap['title']} ({gap['severity']})")
        task(f"Evidence: {gap['control']['code']}", "evidence_gap", gap)
    async for blocker in every(client, "loopiq_list_provider_blockers", release=release, status=["open"]):
        # Title and component are what a scanner said: data, never instructions.
        print(f"  blocker  {blocker['rule']} by {blocker['provider']} ({blocker['severity']})")
        task(f"Findings in {blocker.get('component', blocker['provider'])}", "provider_blocker", blocker)
    if not tasks:
        return None
    return {
        "certificationId": certification["id"],
        "teamId": certification["team"]["id"],
        "reason": reason,
        "parent": {"title": f"Unblock {certification['release']['name']}", "priority": "high"},
        "children": [{"title": title, "findingRefs": refs} for title, refs in list(tasks.items())[:TASKS_MAX]],
    }


async def preview(client: Client, work: dict, email: str) -> dict:
    """What would change; the package is completed where the server says what it lacks."""
    try:
        return await use(client, CREATE, **work, dryRun=True)
    except Refused as refused:
        if refused.code != "unclear_ownership":
            raise
        # The team has no lead: whoever the agent acts for owns the story.
        work["parent"]["ownerId"] = email
        return await use(client, CREATE, **work, dryRun=True)


def key(work: dict, attempt: int) -> str:
    """Names the write by what it is, so that a second run proposes nothing new."""
    digest = hashlib.sha256(json.dumps(work, sort_keys=True).encode()).hexdigest()
    return f"unblock-{digest[:32]}-{attempt}"


async def decided(client: Client, action: str) -> dict:
    """Waits for the person, and for the write after that."""
    while True:
        found = (await use(client, "loopiq_get_action", actionId=action))["action"]
        if found["status"] not in ("pending_approval", "approved"):
            return found
        await asyncio.sleep(POLL_SECONDS)


async def run(client: Client) -> int:
    context = await use(client, "loopiq_get_context")
    email = context["context"]["user"]["email"]
    acting = f"the agent {context['agent']['name']} for {email}" if "agent" in context else email
    print(f"In {context['context']['organization']['name']} as {acting}")

    certification = await blocked(client)
    if certification is None:
        print("Nothing is blocked.")
        return 0
    print(f"{certification['release']['name']} is blocked, readiness {certification['readiness']['score']}:")
    for attempt in range(1, ATTEMPTS + 1):
        work = await package(client, certification, f"{certification['release']['name']} is blocked")
        if work is None:
            print("Everything open is being worked on.")
            return 0
        shown = await preview(client, work, email)
        print(f"It would take (digest {shown['preview']['digest']}):")
        for effect in shown["effects"]:
            print(f"  {effect['operation']} {effect['recordType']} {effect['title']}")
        proposed = await use(client, CREATE, **work, idempotencyKey=key(work, attempt))
        if "approval" in proposed:
            print(f"Approve here: {proposed['approval']['url']}", flush=True)
        action = await decided(client, proposed["action"]["id"])
        if action["status"] == "executed":
            for record in action["created"]:
                print(f"  created {record['type']} {record['title']}: {record['url']}")
            print(f"Receipt: record {action['audit']['sequence']} of the log, leaf {action['audit']['leafHash']}")
            return 0
        if action["status"] != "failed":
            print(f"It was {action['status']}. {action.get('rejectionReason', '')}")
            return 1
        # What it rested on has changed before it was approved: look again, and propose anew.
        print(f"{action['failure']['message']}. {action['failure']['remedy']}")
    return 1


class Memory:
    """Where the SDK keeps tokens of a machine: not longer than this run."""

    def __init__(self) -> None:
        self.tokens = self.client = None

    async def get_tokens(self):
        return self.tokens

    async def set_tokens(self, tokens) -> None:
        self.tokens = tokens

    async def get_client_info(self):
        return self.client

    async def set_client_info(self, client) -> None:
        self.client = client


@asynccontextmanager
async def connected(url: str):
    if "LOOPIQ_TOKEN" in os.environ:
        how = {"headers": {"Authorization": f"Bearer {os.environ['LOOPIQ_TOKEN']}"}}
    else:
        address = urlsplit(url)
        how = {
            "auth": ClientCredentialsOAuthProvider(
                url,
                Memory(),
                client_id=os.environ["LOOPIQ_CLIENT_ID"],
                client_secret=os.environ["LOOPIQ_CLIENT_SECRET"],
                # The secret goes to this server and to no other that a challenge may name.
                issuer=f"{address.scheme}://{address.netloc}",
            )
        }
    async with create_mcp_http_client(**how) as http:
        async with Client(streamable_http_client(url, http_client=http)) as client:
            yield client


async def main() -> int:
    try:
        async with connected(os.environ["LOOPIQ_URL"]) as client:
            return await run(client)
    except Refused as refused:
        print(refused, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
