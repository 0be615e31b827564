"""The `openai-agents` package at `/v1/responses`, its default, and at `/v1/chat/completions`."""

import asyncio

import openai
from agents import (
    Agent, ModelSettings, OpenAIChatCompletionsModel, OpenAIResponsesModel, Runner, function_tool,
    set_tracing_disabled,
)
from checks import (
    KEY, NO_MODEL, ORIGIN, PROMPT, UNKNOWN, WRONG_KEY, Tool, Weather, equal, raises, run, sample, streamed, whole,
)

set_tracing_disabled(True)
LOOP = asyncio.new_event_loop()


def checks(kind):
    """The checks by a model of `kind`."""

    def agent(model, key=KEY, **options):
        client = openai.AsyncOpenAI(base_url=f"{ORIGIN}/v1", api_key=key, max_retries=0, timeout=15)
        settings = ModelSettings(include_usage=True)
        return Agent(name="a", model=kind(model, client), model_settings=settings, **options)

    def answer(asked):
        return LOOP.run_until_complete(Runner.run(asked, PROMPT))

    async def events_of(asked):
        result = Runner.run_streamed(asked, PROMPT)
        raw = [event.data async for event in result.stream_events() if event.type == "raw_response_event"]
        return [event.delta for event in raw if event.type == "response.output_text.delta"], result

    def tokens(result):
        usage = result.context_wrapper.usage
        return usage.input_tokens, usage.output_tokens

    def chat(model):
        result = answer(agent(model))
        whole(result.final_output, tokens(result))

    def stream(model):
        pieces, result = LOOP.run_until_complete(events_of(agent(model)))
        streamed(pieces, tokens(result))
        whole(result.final_output)

    def tool(model):
        tool = Tool()
        tool.used(answer(agent(model, tools=[function_tool(tool.weather)])).final_output)

    def tool_stream(model):
        tool = Tool()
        pieces, result = LOOP.run_until_complete(events_of(agent(model, tools=[function_tool(tool.weather)])))
        equal("".join(pieces), result.final_output, "the pieces together")
        tool.used(result.final_output)

    def handoff(model):
        tool = Tool()
        second = agent(model, tools=[function_tool(tool.weather)])
        result = answer(agent(model, handoffs=[second]))
        equal(result.last_agent is second, True, "the second agent answers")

    def object_by_schema(model):
        sample(answer(agent(model, output_type=Weather)).final_output)

    def unknown_model(_model):
        raises(openai.NotFoundError, lambda: answer(agent(UNKNOWN)), 404, NO_MODEL)

    def wrong_key(model):
        raises(openai.AuthenticationError, lambda: answer(agent(model, WRONG_KEY)), 401)

    return {
        "chat": chat, "stream": stream, "tool loop": tool, "tool loop, streamed": tool_stream, "handoff": handoff,
        "object, by schema": object_by_schema, "unknown model": unknown_model, "wrong key": wrong_key,
    }


for door, kind in {"responses": OpenAIResponsesModel, "chat": OpenAIChatCompletionsModel}.items():
    run("openai-agents", door, checks(kind))
