"""Traces as the real libraries write them of calls to a server on this machine: makes tests/fixtures/otel again.

Two environments, as the libraries do not go together:

    uv venv a && uv pip install --python a opentelemetry-instrumentation-openai \
        opentelemetry-instrumentation-anthropic opentelemetry-sdk opentelemetry-exporter-otlp-proto-http \
        'openai<3' anthropic httpx 'wrapt<2'
    uv venv b && uv pip install --python b opentelemetry-instrumentation-openai-v2==2.4b0 \
        opentelemetry-util-genai==1.1b0 opentelemetry-exporter-otlp-proto-http 'wrapt<2' 'openai<3' httpx
    a/bin/python tests/payloads/otel.py openllmetry tests/fixtures/otel/openllmetry.binpb
    OTEL_SEMCONV_STABILITY_OPT_IN=gen_ai_latest_experimental \
        b/bin/python tests/payloads/otel.py official tests/fixtures/otel/official.binpb
"""
# mypy: ignore-errors

from __future__ import annotations

import contextlib
import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

PROMPT = "my grandmother's recipe"
USAGE = {
    "prompt_tokens": 2006,
    "completion_tokens": 300,
    "total_tokens": 2306,
    "prompt_tokens_details": {"cached_tokens": 1920},
    "completion_tokens_details": {"reasoning_tokens": 192},
}


class Upstream(BaseHTTPRequestHandler):
    """Answers like OpenAI and Anthropic, whole or as a stream; `fail` in the model's name is a 429."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if "fail" in asked["model"]:
            self.answer(429, "application/json", json.dumps({"error": {"message": "slow down"}}))
        elif self.path.endswith("/messages"):
            usage = {"input_tokens": 50, "output_tokens": 20, "cache_read_input_tokens": 3000}
            usage["cache_creation_input_tokens"] = 1000
            said = {"id": "msg_1", "type": "message", "role": "assistant", "model": asked["model"], "usage": usage}
            said |= {"content": [{"type": "text", "text": PROMPT}], "stop_reason": "end_turn", "stop_sequence": None}
            self.answer(200, "application/json", json.dumps(said))
        else:
            self.complete(asked)

    def complete(self, asked: dict[str, Any]) -> None:
        said = {"id": "chatcmpl-1", "created": 1, "model": "gpt-5-2025-08-07", "service_tier": "default"}
        if not asked.get("stream"):
            message = {"role": "assistant", "content": PROMPT}
            choice = {"index": 0, "message": message, "finish_reason": "stop"}
            self.answer(
                200,
                "application/json",
                json.dumps({**said, "object": "chat.completion", "choices": [choice], "usage": USAGE}),
            )
            return
        said["object"] = "chat.completion.chunk"
        chunks = [
            {**said, "choices": [{"index": 0, "delta": {"content": word}, "finish_reason": None}]}
            for word in PROMPT.split()
        ]
        chunks.append({**said, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
        if (asked.get("stream_options") or {}).get("include_usage"):
            chunks.append({**said, "choices": [], "usage": USAGE})
        text = "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks) + "data: [DONE]\n\n"
        self.answer(200, "text/event-stream", text)

    def answer(self, status: int, kind: str, text: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: object) -> None: ...


def calls(base: str, tracer: Any, *, anthropic: bool) -> None:
    """Calls in a trace of a user's request, one of each kind that logs differ in."""
    import openai

    client = openai.OpenAI(base_url=f"{base}/v1", api_key="sk-none", max_retries=0)
    messages = [{"role": "user", "content": PROMPT}]
    with tracer.start_as_current_span("POST /chat", attributes={"user.id": "ann"}):
        client.chat.completions.create(model="gpt-5", messages=messages)
        for options in ({"include_usage": True}, None):
            for _ in client.chat.completions.create(
                model="gpt-5", messages=messages, stream=True, stream_options=options
            ):
                pass
        aborted = client.chat.completions.create(model="gpt-5", messages=messages, stream=True)
        next(iter(aborted))
        aborted.close()
        with contextlib.suppress(openai.RateLimitError):
            client.chat.completions.create(model="gpt-5-fail", messages=messages)
        if anthropic:
            import anthropic as claude

            own = claude.Anthropic(base_url=base, api_key="sk-none", max_retries=0)
            own.messages.create(model="claude-sonnet-4-5", max_tokens=100, messages=messages)


def main() -> None:
    """Write the spans of the calls as one frame of protobuf."""
    library, target = sys.argv[1], Path(sys.argv[2])
    from opentelemetry import trace
    from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    kept = InMemorySpanExporter()
    provider = TracerProvider(resource=Resource({"service.name": "app", "service.instance.id": "app-1"}))
    provider.add_span_processor(SimpleSpanProcessor(kept))
    trace.set_tracer_provider(provider)
    if library == "official":
        from opentelemetry.instrumentation.openai_v2 import OpenAIInstrumentor

        OpenAIInstrumentor().instrument(tracer_provider=provider)
    else:
        from opentelemetry.instrumentation.anthropic import AnthropicInstrumentor
        from opentelemetry.instrumentation.openai import OpenAIInstrumentor

        OpenAIInstrumentor().instrument(tracer_provider=provider)
        AnthropicInstrumentor().instrument(tracer_provider=provider)
    upstream = ThreadingHTTPServer(("127.0.0.1", 0), Upstream)
    threading.Thread(target=upstream.serve_forever, daemon=True).start()
    calls(f"http://127.0.0.1:{upstream.server_address[1]}", trace.get_tracer("app"), anthropic=library == "openllmetry")
    message = encode_spans(kept.get_finished_spans())
    data = message.SerializeToString()
    target.write_bytes(len(data).to_bytes(4, "big") + data)
    for span in kept.get_finished_spans():
        print(span.name, dict(span.attributes or {}), [event.name for event in span.events][:2])


if __name__ == "__main__":
    main()
