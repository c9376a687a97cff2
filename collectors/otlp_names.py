"""Which attributes of a trace are read, and under which names instrumentations write them; no other ever lands.

Names are those of the OpenTelemetry semantic conventions for generative AI, then older ones and those of OpenLLMetry,
vLLM and Langfuse, in the order in which they win. Prompts and answers stand in attributes as well: whoever adds a name
here says that its values may be kept.
"""

from __future__ import annotations

from collections.abc import Iterable

_USAGE = ("gen_ai.usage.", "llm.usage.")


def _usage(*names: str) -> tuple[str, ...]:
    return tuple(prefix + name for name in names for prefix in _USAGE)


#: What we call it -> attributes of a span.
SPAN = {
    "operation": ("gen_ai.operation.name",),
    "request_type": ("llm.request.type",),  # OpenLLMetry's older word for the operation
    "step": ("traceloop.span.kind",),  # OpenLLMetry: workflow, agent, tool, task
    "said_provider": ("gen_ai.provider.name", "gen_ai.system", "llm.vendor"),
    "server_address": ("server.address",),
    "server_url": ("gen_ai.openai.api_base",),  # OpenLLMetry has no server.address
    # servers know only which model answered
    "model": ("gen_ai.request.model", "llm.request.model", "gen_ai.response.model", "llm.response.model"),
    "response_model": ("gen_ai.response.model", "llm.response.model"),
    "provider_request_id": ("gen_ai.response.id", "llm.response.id", "gen_ai.request.id"),
    "service_tier": ("openai.response.service_tier", "gen_ai.openai.response.service_tier"),
    "input_tokens": _usage("input_tokens", "prompt_tokens"),
    "cached_input_tokens": _usage(
        *("cache_read.input_tokens", "cache_read_input_tokens", "cache_read_tokens", "cached_tokens"),
        "input_tokens.cached",
    ),
    "cache_write_tokens": _usage(
        *(
            "cache_creation.input_tokens",
            "cache_creation_input_tokens",
            "cache_write.input_tokens",
            "cache_write_tokens",
        ),
    ),
    "output_tokens": _usage("output_tokens", "completion_tokens"),
    "reasoning_tokens": _usage("reasoning.output_tokens", "reasoning_tokens"),
    "first_token_seconds": ("gen_ai.response.time_to_first_chunk", "gen_ai.latency.time_to_first_token"),
    "queue_seconds": ("gen_ai.latency.time_in_queue",),
    "user_id": (
        *("user.id", "enduser.id", "gen_ai.user", "llm.user", "langfuse.user.id"),
        "traceloop.association.properties.user_id",
    ),
    "session_id": (
        *("gen_ai.conversation.id", "session.id", "langfuse.session.id"),
        "traceloop.association.properties.session_id",
    ),
    "agent": ("gen_ai.agent.name",),
    "tool": ("gen_ai.tool.name",),
    "error_type": ("error.type",),
}
#: What we call it -> attributes of the resource that a span is of.
RESOURCE = {
    "service": ("service.name",),
    "service_instance": ("service.instance.id", "k8s.pod.name"),
    "environment": ("deployment.environment.name", "deployment.environment"),
}
#: Operations that a vendor bills or a GPU works for. Others (invoke_agent, create_agent, execute_tool, invoke_workflow)
#: carry the sums of the calls below them.
CALLS = ("chat", "text_completion", "generate_content", "embeddings")
#: Other words for operations.
OPERATIONS = {
    "completion": "text_completion",
    "embedding": "embeddings",
    "agent": "invoke_agent",
    "tool": "execute_tool",
    "workflow": "invoke_workflow",
}
#: Words of responses for service tiers.
TIERS = {"default": "standard", "on_demand": "standard", "scale": "provisioned"}
#: Whose machine answers, by its name (`*` is anything), where an SDK says only what it speaks.
ADDRESSES = {
    "*.openai.azure.com": "azure.ai.openai",
    "*.services.ai.azure.com": "azure.ai.inference",
    "bedrock-runtime.*.amazonaws.com": "aws.bedrock",
    "*aiplatform.googleapis.com": "gcp.vertex_ai",
    "generativelanguage.googleapis.com": "gcp.gemini",
    "openrouter.ai": "openrouter",
}


def allowed(extra: Iterable[str] = ()) -> frozenset[str]:
    """Every attribute that may be kept, of spans and resources, with those that a source's settings name."""
    return frozenset(name for names in (*SPAN.values(), *RESOURCE.values(), extra) for name in names)
