"""The `pydantic-ai` package by each of its models, at each door."""

import asyncio

from checks import (
    KEY, NO_MODEL, ORIGIN, PROMPT, UNKNOWN, WRONG_KEY, Tool, Weather, raises, run, sample, streamed, whole,
)
from pydantic_ai import Agent, NativeOutput, Tool as AgentTool
from pydantic_ai.exceptions import ModelHTTPError
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.models.google import GoogleModel
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.anthropic import AnthropicProvider
from pydantic_ai.providers.google import GoogleProvider
from pydantic_ai.providers.openai import OpenAIProvider

# Their connections live in one loop.
LOOP = asyncio.new_event_loop()


def checks(make):
    """The checks by a model of `make`, which takes a model's name and a key."""

    def agent(model, key=KEY, **options):
        return Agent(make(model, key), **options)

    def answer(asked):
        return LOOP.run_until_complete(asked.run(PROMPT))

    async def pieces_of(asked):
        async with asked.run_stream(PROMPT) as result:
            pieces = [piece async for piece in result.stream_text(delta=True, debounce_by=None)]
            return pieces, result.usage

    def tokens(usage):
        usage = usage() if callable(usage) else usage
        return usage.input_tokens, usage.output_tokens

    def chat(model):
        result = answer(agent(model))
        whole(result.output, tokens(result.usage))

    def stream(model):
        pieces, usage = LOOP.run_until_complete(pieces_of(agent(model)))
        streamed(pieces, tokens(usage))

    def tool(model):
        tool = Tool()
        tool.used(answer(agent(model, tools=[AgentTool(tool.weather)])).output)

    def tool_stream(model):
        tool = Tool()
        pieces, _ = LOOP.run_until_complete(pieces_of(agent(model, tools=[AgentTool(tool.weather)])))
        tool.used("".join(pieces))

    def object_by_tool(model):
        sample(answer(agent(model, output_type=Weather)).output)

    def object_by_schema(model):
        sample(answer(agent(model, output_type=NativeOutput(Weather))).output)

    def unknown_model(_model):
        raises(ModelHTTPError, lambda: answer(agent(UNKNOWN)), 404, NO_MODEL)

    def wrong_key(model):
        raises(ModelHTTPError, lambda: answer(agent(model, WRONG_KEY)), 401)

    return {
        "chat": chat, "stream": stream, "tool loop": tool, "tool loop, streamed": tool_stream,
        "object, by tool": object_by_tool, "object, by schema": object_by_schema,
        "unknown model": unknown_model, "wrong key": wrong_key,
    }


def openai_provider(key):
    return OpenAIProvider(base_url=f"{ORIGIN}/v1", api_key=key)


DOORS = {
    "chat": lambda model, key: OpenAIChatModel(model, provider=openai_provider(key)),
    "responses": lambda model, key: OpenAIResponsesModel(model, provider=openai_provider(key)),
    "messages": lambda model, key: AnthropicModel(
        model, provider=AnthropicProvider(base_url=ORIGIN, api_key=key),
        # Else it takes no unknown name for a model that knows schemas.
        profile={"supports_json_schema_output": True}),
    "contents": lambda model, key: GoogleModel(model, provider=GoogleProvider(base_url=ORIGIN, api_key=key)),
}
for door, make in DOORS.items():
    run("pydantic-ai", door, checks(make))
