"""The `anthropic` package at `/v1/messages`."""

import anthropic
from anthropic import beta_tool
from checks import (
    ANSWER, KEY, NO_MODEL, ORIGIN, PROMPT, THOUGHT, UNKNOWN, WRONG_KEY, Tool, Weather, equal, raises, run,
    sample, streamed, whole, without_thoughts,
)

ASK = {"max_tokens": 2000, "messages": [{"role": "user", "content": PROMPT}]}


def client(key=KEY):
    return anthropic.Anthropic(api_key=key, base_url=ORIGIN, max_retries=0, timeout=15)


def tokens(message):
    return message.usage.input_tokens, message.usage.output_tokens


def texts(message):
    return "".join(block.text for block in message.content if block.type == "text")


def chat(model):
    message = client().messages.create(model=model, **ASK)
    whole(texts(message), tokens(message))
    equal(message.stop_reason, "end_turn", "the stop reason")


def stream(model):
    with client().messages.stream(model=model, **ASK) as events:
        pieces = list(events.text_stream)
        final = events.get_final_message()
    streamed(pieces, tokens(final))
    equal((texts(final), final.stop_reason), (ANSWER, "end_turn"), "the final message")


def tool(model):
    tool = Tool()
    runner = client().beta.messages.tool_runner(model=model, tools=[beta_tool(tool.weather)], **ASK)
    tool.used(texts(runner.until_done()))


def tool_stream(model):
    tool, last = Tool(), None
    runner = client().beta.messages.tool_runner(model=model, tools=[beta_tool(tool.weather)], stream=True, **ASK)
    for turn in runner:
        pieces = [event for event in turn]
        equal(len(pieces) > 2, True, "several events")
        last = turn.get_final_message()
    tool.used(texts(last))


def object_by_schema(model):
    sample(client().messages.parse(model=model, output_format=Weather, **ASK).parsed_output)


def count_tokens(model):
    count = client().messages.count_tokens(model=model, messages=ASK["messages"])
    equal(count.input_tokens > 0, True, f"{count.input_tokens} are tokens")


def thinking(model):
    enabled = {"type": "enabled", "budget_tokens": 1024, "display": "summarized"}
    first = client().messages.create(model=model, thinking=enabled, **ASK)
    equal(texts(first), ANSWER, "the text")
    without_thoughts(model)
    equal([block.type for block in first.content], ["thinking", "text"], "the kinds of blocks")
    equal(first.content[0].thinking, THOUGHT, "the thought")
    if model == "up-messages":
        equal(bool(first.content[0].signature), True, "a signature")
    turns = [*ASK["messages"], {"role": "assistant", "content": first.content}, {"role": "user", "content": "on"}]
    second = client().messages.create(model=model, thinking=enabled, max_tokens=2000, messages=turns)
    equal(texts(second), "echo: on", "the second answer")
    with client().messages.stream(model=model, thinking=enabled, **ASK) as events:
        final = events.get_final_message()
    equal([b.model_dump(exclude_none=True) for b in final.content],
          [b.model_dump(exclude_none=True) for b in first.content], "the streamed blocks")


def unknown_model(_model):
    raises(anthropic.NotFoundError, lambda: client().messages.create(model=UNKNOWN, **ASK), 404, NO_MODEL)


def wrong_key(model):
    raises(anthropic.AuthenticationError, lambda: client(WRONG_KEY).messages.create(model=model, **ASK), 401)


run("anthropic", "messages", {
    "chat": chat, "stream": stream, "tool loop": tool, "tool loop, streamed": tool_stream,
    "object, by schema": object_by_schema, "count_tokens": count_tokens, "thinking, two turns": thinking,
    "unknown model": unknown_model, "wrong key": wrong_key,
})
