"""The `langchain-openai` package at `/v1/chat/completions` and at `/v1/responses`."""

import openai
from checks import (
    KEY, NO_MODEL, ORIGIN, PROMPT, UNKNOWN, WRONG_KEY, Tool, Weather, raises, run, sample, streamed, whole,
)
from langchain_core.messages import HumanMessage
from langchain_core.tools import tool as as_tool
from langchain_openai import ChatOpenAI

OPTIONS = {"base_url": f"{ORIGIN}/v1", "max_retries": 0, "timeout": 15, "stream_usage": True}


def chat_model(model, key=KEY):
    return ChatOpenAI(model=model, api_key=key, **OPTIONS)


def tokens(message):
    return message.usage_metadata["input_tokens"], message.usage_metadata["output_tokens"]


def chat(model):
    message = chat_model(model).invoke(PROMPT)
    whole(message.text, tokens(message))


def stream(model):
    chunks = list(chat_model(model).stream(PROMPT))
    together = chunks[0]
    for chunk in chunks[1:]:
        together += chunk
    streamed([chunk.text for chunk in chunks], tokens(together))


def loop(model, ask):
    """The loop as LangChain's documentation shows it, where `ask` gives a message to the turns so far."""
    tool = Tool()
    weather = as_tool(tool.weather)
    bound = chat_model(model).bind_tools([weather])
    turns = [HumanMessage(PROMPT)]
    for _ in range(3):
        turns.append(ask(bound, turns))
        if not turns[-1].tool_calls:
            break
        turns += [weather.invoke(call) for call in turns[-1].tool_calls]
    tool.used(turns[-1].text)


def tool(model):
    loop(model, lambda bound, turns: bound.invoke(turns))


def tool_stream(model):
    def together(bound, turns):
        chunks = list(bound.stream(turns))
        message = chunks[0]
        for chunk in chunks[1:]:
            message += chunk
        return message

    loop(model, together)


def object_by_tool(model):
    sample(chat_model(model).with_structured_output(Weather, method="function_calling").invoke(PROMPT))


def object_by_schema(model):
    sample(chat_model(model).with_structured_output(Weather, method="json_schema").invoke(PROMPT))


def unknown_model(_model):
    raises(openai.NotFoundError, lambda: chat_model(UNKNOWN).invoke(PROMPT), 404, NO_MODEL)


def wrong_key(model):
    raises(openai.AuthenticationError, lambda: chat_model(model, WRONG_KEY).invoke(PROMPT), 401)


CHECKS = {
    "chat": chat, "stream": stream, "tool loop": tool, "tool loop, streamed": tool_stream,
    "object, by tool": object_by_tool, "object, by schema": object_by_schema,
    "unknown model": unknown_model, "wrong key": wrong_key,
}
for door, responses in {"chat": False, "responses": True}.items():
    OPTIONS["use_responses_api"] = responses
    run("langchain", door, CHECKS)
