"""Makes tests/fixtures/litellm again: what a real LiteLLM proxy logs of calls to an upstream on this machine.

Nothing leaves the machine: the upstream is a server of this script, whose answers have fixed token counts. LiteLLM
needs an environment of its own, so a path to one is given; it is made with

    uv venv /tmp/litellm && uv pip install --python /tmp/litellm/bin/python 'litellm[proxy]==1.106.2'
    python -m tests.payloads.litellm /tmp/litellm/bin/litellm FOLDER

FOLDER gets `callback.jsonl` (a line per payload, by a custom callback), `generic_api.jsonl` (one array per batch, as
LiteLLM posts them to a receiver) and `spend_log.jsonl` (the rows that LiteLLM would write of the same calls into its
database; that of a failure is made elsewhere). LiteLLM's own map of prices and its tracebacks are taken out.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx

from tests.servers import free_port, running

_KEY = "sk-farthing-test"
_CALLBACK = """
import json, os
from litellm.integrations.custom_logger import CustomLogger
from litellm.proxy.spend_tracking.spend_tracking_utils import get_logging_payload

class Log(CustomLogger):
    async def async_log_success_event(self, kwargs, response_obj, start_time, end_time):
        self.write("callback", kwargs["standard_logging_object"])
        self.write("spend_log", get_logging_payload(kwargs, response_obj, start_time, end_time))

    async def async_log_failure_event(self, kwargs, response_obj, start_time, end_time):
        self.write("callback", kwargs["standard_logging_object"])

    def write(self, name, said):
        with open(os.path.join(os.environ["FARTHING_PAYLOADS"], name + ".jsonl"), "a", encoding="utf-8") as file:
            file.write(json.dumps(said, default=str) + "\\n")

log = Log()
"""
_FILES = ("callback.jsonl", "generic_api.jsonl", "spend_log.jsonl")
_OPENAI_USAGE = {
    "prompt_tokens": 2006,
    "completion_tokens": 300,
    "total_tokens": 2306,
    "prompt_tokens_details": {"cached_tokens": 1920},
    "completion_tokens_details": {"reasoning_tokens": 192},
}
_ANTHROPIC_USAGE = {
    "input_tokens": 50,
    "cache_read_input_tokens": 3000,
    "cache_creation_input_tokens": 1000,
    "cache_creation": {"ephemeral_5m_input_tokens": 600, "ephemeral_1h_input_tokens": 400},
    "output_tokens": 20,
}


class Upstream(BaseHTTPRequestHandler):
    """What OpenAI and Anthropic would answer; the text of the last message says how."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path.endswith("/embeddings"):
            usage = {"prompt_tokens": 12, "total_tokens": 12}
            data = [{"object": "embedding", "index": 0, "embedding": [0.5, 0.25]}]
            self.say({"object": "list", "data": data, "model": "text-embedding-3-small", "usage": usage})
            return
        content = asked["messages"][-1]["content"]
        text = content if isinstance(content, str) else content[-1]["text"]
        if "refuse" in text:
            self.say({"error": {"message": "slow down", "type": "rate_limit", "code": "429"}}, status=429)
        elif self.path.endswith("/messages"):
            block = {"type": "text", "text": "the answer"}
            answer = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-sonnet-4-5-20250929"}
            self.say({**answer, "content": [block], "stop_reason": "end_turn", "usage": _ANTHROPIC_USAGE})
        elif asked.get("stream"):
            self.stream(text)
        else:
            message = {"role": "assistant", "content": "the answer"}
            choice = {"index": 0, "message": message, "finish_reason": "stop"}
            tier = {"service_tier": asked["service_tier"]} if "service_tier" in asked else {}
            head = {"id": f"chatcmpl-{time.time_ns()}", "object": "chat.completion", "created": int(time.time())}
            self.say({**head, "model": "gpt-5-2025-08-07", "choices": [choice], "usage": _OPENAI_USAGE, **tier})

    def stream(self, text: str) -> None:
        """Pieces of an answer; usage last, if it is asked for, and a pause before it where somebody hangs up."""
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        head = {"id": f"chatcmpl-{time.time_ns()}", "object": "chat.completion.chunk", "created": int(time.time())}
        head["model"] = "gpt-5-2025-08-07"
        pieces = [{"index": 0, "delta": {"role": "assistant", "content": word}} for word in ("the ", "answer ", "is ")]
        said = [{**head, "choices": [{**piece, "finish_reason": None}]} for piece in pieces]
        last = [{**head, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}]
        if "silent" not in text:
            last.append({**head, "choices": [], "usage": _OPENAI_USAGE})
        with suppress(OSError):
            for piece in said:
                self.wfile.write(f"data: {json.dumps(piece)}\n\n".encode())
                self.wfile.flush()
                time.sleep(0.05)
            if "hang up" in text:
                time.sleep(5)
            for piece in last:
                self.wfile.write(f"data: {json.dumps(piece)}\n\n".encode())
            self.wfile.write(b"data: [DONE]\n\n")

    def say(self, body: dict[str, Any], status: int = 200) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Nothing on the screen."""


class Receiver(Upstream):
    """Where `generic_api` posts its batches: one line for each."""

    target: Path

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with self.target.open("ab") as file:
            file.write(body.replace(b"\n", b" ") + b"\n")
        self.say({})


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    """The address of a server with `handler`, as long as the block."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def settings(upstream: str) -> dict[str, Any]:
    """The proxy's configuration; JSON is YAML."""
    models = {"gpt-5": ("openai/gpt-5", f"{upstream}/v1"), "claude": ("anthropic/claude-sonnet-4-5", upstream)}
    models |= {"small": ("openai/text-embedding-3-small", f"{upstream}/v1")}
    listed = [
        {"model_name": name, "litellm_params": {"model": model, "api_base": base, "api_key": "none"}}
        for name, (model, base) in models.items()
    ]
    return {
        "model_list": listed,
        "litellm_settings": {
            "callbacks": ["cb.log", "generic_api"],
            "num_retries": 0,
            "cache": True,
            "cache_params": {"type": "local", "mode": "default_off"},
        },
        "general_settings": {"master_key": _KEY},
    }


def calls(proxy: str) -> None:
    """One call of every sort that the rules tell apart."""
    headers = {"Authorization": f"Bearer {_KEY}"}
    with httpx.Client(base_url=proxy, headers=headers, timeout=60) as client:

        def chat(text: str, model: str = "gpt-5", **more: Any) -> httpx.Response:
            body = {"model": model, "messages": [{"role": "user", "content": f"a secret prompt: {text}"}], **more}
            return client.post("/v1/chat/completions", json=body)

        chat("plain", user="customer-7", metadata={"tags": ["team:search", "beta"], "session_id": "s-1", "tenant": "t"})
        chat("cached by the vendor", model="claude")
        chat("streamed", stream=True, stream_options={"include_usage": True})
        chat("streamed and silent", stream=True)
        chat("refuse")
        chat("cheap", service_tier="flex")
        for _ in range(2):
            chat("the same again", cache={"use-cache": True, "ttl": 600})
            time.sleep(1)
        client.post("/v1/embeddings", json={"model": "small", "input": "a secret prompt"})
        body = {"model": "claude", "max_tokens": 99, "messages": [{"role": "user", "content": "a secret prompt"}]}
        client.post("/v1/messages", json={**body, "metadata": {"user_id": "customer-8"}})
        body = {"model": "gpt-5", "messages": [{"role": "user", "content": "a secret prompt: hang up"}], "stream": True}
        with client.stream("POST", "/v1/chat/completions", json=body) as answer:
            next(answer.iter_lines())
    time.sleep(15)  # batches go out after a while


def main() -> None:
    """Record the payloads."""
    program, folder = Path(sys.argv[1]), Path(sys.argv[2]).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    for name in _FILES:
        (folder / name).unlink(missing_ok=True)
    Receiver.target = folder / "generic_api.jsonl"
    port = free_port()
    with serving(Upstream) as upstream, serving(Receiver) as receiver, tempfile.TemporaryDirectory() as made:
        Path(made, "cb.py").write_text(_CALLBACK, encoding="utf-8")
        config = Path(made, "config.yaml")
        config.write_text(json.dumps(settings(upstream)), encoding="utf-8")
        os.environ |= {
            "GENERIC_LOGGER_ENDPOINT": receiver,
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
            "FARTHING_PAYLOADS": str(folder),
            "PYTHONPATH": made,
        }
        command = [str(program), "--config", str(config), "--host", "127.0.0.1", "--port", str(port)]
        with running(command, port, "/health/liveliness", seconds=120, log=Path(made, "log"), children=True) as proxy:
            calls(proxy)
    for name in _FILES:
        lines = (folder / name).read_text(encoding="utf-8").splitlines()
        kept = [json.dumps(_without_map(json.loads(line)), separators=(",", ":")) for line in lines]
        (folder / name).write_text("\n".join(kept) + "\n", encoding="utf-8")
        print(f"{name}: {len(kept)} lines, {sum(map(len, kept)):,} bytes")


def _without_map(said: Any) -> Any:
    """A payload, or a list of them, without what is LiteLLM's own text."""
    for payload in said if isinstance(said, list) else [said]:
        if "model_map_information" not in payload:  # a row of the spend log: its metadata are a text of JSON
            metadata = json.loads(payload["metadata"])
            metadata.pop("model_map_information", None)
            if metadata.get("error_information"):
                metadata["error_information"]["traceback"] = ""
            payload["metadata"] = json.dumps(metadata)
            continue
        payload["model_map_information"] = {"model_map_key": payload["model_map_information"]["model_map_key"]}
        if payload.get("error_information"):
            payload["error_information"]["traceback"] = ""
    return said


if __name__ == "__main__":
    main()
