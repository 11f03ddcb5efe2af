# SPDX-License-Identifier: LGPL-2.1-or-later
"""What requests are measured against: FastAPI with asynchronous handlers and Redis, whose lists hold what is answered as
JSON. Nothing is validated again. As a program it fills Redis from its input."""

import json
import os
import sys

import redis
import redis.asyncio
from fastapi import FastAPI
from fastapi.responses import JSONResponse

app = FastAPI()
store = redis.asyncio.Redis(port=int(os.environ.get("REDIS_PORT", "6379")))


@app.get("/v1/sync-runs")
async def runs(limit: int = 50):
    found = await store.lrange("runs", 0, limit - 1)
    return JSONResponse({"syncRuns": [json.loads(one) for one in found], "nextCursor": None})


@app.get("/api/v1/users/{user_id}/sync/recent")
async def recent(user_id: str, limit: int = 50):
    found = await store.lrange("recent", 0, limit - 1)
    return JSONResponse([json.loads(one) for one in found])


if __name__ == "__main__":
    filled = redis.Redis(port=int(sys.argv[1]))
    for name, values in json.load(sys.stdin).items():
        filled.rpush(name, *map(json.dumps, values))
