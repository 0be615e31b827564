"""Records what the local model's server answers, byte for byte, as the fixtures of maof-providers:

    scripts/model python tests/model/record.py

One exchange a file, in the format that crates/maof-testkit/src/cassette reads: `when` this comes, `then` that is answered.
"""

import datetime
import http.client
import importlib.metadata
import json
import os
import pathlib
import shutil
import urllib.parse

from serve import FILE, SHA256

FOLDER = pathlib.Path(__file__).parents[2] / "crates/maof-providers/tests/recorded/local/wire"
MODEL = "smollm2"
SAID = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "What is the capital of France? Grüße, 世界"}]
TURN = SAID[1:]
LONG = [{"role": "user", "content": "a " * 2100}]
SCHEMA = {
    "type": "object",
    "properties": {"city": {"enum": ["Paris", "Lyon"]}, "large": {"type": "boolean"}},
    "required": ["city", "large"],
    "additionalProperties": False,
}
AS_SCHEMA = {"type": "json_schema", "json_schema": {"name": "place", "strict": True, "schema": SCHEMA}}
# The likeliest token each time, so that a stream says what the whole answer says.
SAME = {"temperature": 0}

CHAT, RESPONSES, MESSAGES = "/v1/chat/completions", "/v1/responses", "/v1/messages"
# The dialect, the exchange's name, its path and its request; those that end in `*` are recorded whole and as a stream.
EXCHANGES = [
    ("openai", "cut*", CHAT, {"messages": SAID, "max_tokens": 6, **SAME}),
    ("openai", "schema*", CHAT, {"messages": SAID, "max_tokens": 64, "response_format": AS_SCHEMA, **SAME}),
    ("openai", "stop*", CHAT, {"messages": SAID, "max_tokens": 64, "stop": ["a"], **SAME}),
    ("openai", "logprobs*", CHAT, {"messages": TURN, "max_tokens": 3, "logprobs": True, "top_logprobs": 2, **SAME}),
    ("openai", "too_long", CHAT, {"messages": LONG, "max_tokens": 8}),
    ("openai", "nothing_said", CHAT, {}),
    ("openai", "embed", "/v1/embeddings", {"input": ["Paris", "The capital of France"], "encoding_format": "base64"}),
    ("openai_responses", "cut*", RESPONSES, {"instructions": "Be brief.", "input": TURN, "max_output_tokens": 6, **SAME}),
    ("openai_responses", "end*", RESPONSES, {"input": "Say hello.", "max_output_tokens": 64, **SAME}),
    ("openai_responses", "too_long", RESPONSES, {"input": LONG, "max_output_tokens": 8}),
    ("anthropic", "cut*", MESSAGES, {"system": "Be brief.", "messages": TURN, "max_tokens": 6, **SAME}),
    ("anthropic", "stop*", MESSAGES, {"messages": TURN, "max_tokens": 64, "stop_sequences": ["a"], **SAME}),
    ("anthropic", "too_long", MESSAGES, {"messages": LONG, "max_tokens": 8}),
    ("anthropic", "count", "/v1/messages/count_tokens", {"system": "Be brief.", "messages": TURN}),
]


def exchanges():
    for dialect, name, path, request in EXCHANGES:
        request = {"model": MODEL, **request}
        yield dialect, name.rstrip("*"), path, request
        if name.endswith("*"):
            options = {"stream_options": {"include_usage": True}} if path == CHAT else {}
            yield dialect, name.replace("*", "_stream"), path, {**request, "stream": True, **options}


def ask(path: str, body: str):
    server = urllib.parse.urlsplit(os.environ["MAOF_TEST_MODEL_URL"])
    connection = http.client.HTTPConnection(server.hostname, server.port, timeout=600)
    connection.request("POST", path, body.encode(), {"content-type": "application/json"})
    answer = connection.getresponse()
    return answer.status, answer.getheader("content-type"), answer.read().decode()


def block(text: str) -> str:
    """The text as it is, as a block of YAML. The sign at its head says whether it ends in a line break of its own."""
    lines = "\n".join(line and f"    {line}" for line in text.split("\n"))
    return f"|+\n{lines}" if text.endswith("\n") else f"|-\n{lines}\n"


def main():
    now = datetime.datetime.now(datetime.timezone.utc).date()
    server = importlib.metadata.version("xllamacpp")
    shutil.rmtree(FOLDER, ignore_errors=True)
    for dialect, name, path, request in exchanges():
        asked = json.dumps(request, ensure_ascii=False)
        status, kind, answered = ask(path, asked)
        file = FOLDER / dialect / f"smollm2__{name}.yaml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(
            f"# llama.cpp's server, as in xllamacpp {server}, with {FILE}\n"
            f"# (SHA-256 {SHA256}), recorded {now}.\n"
            f"when:\n  method: POST\n  path: {path}\n  body: {block(asked)}"
            f"then:\n  status: {status}\n  header:\n  - name: content-type\n    value: {kind}\n"
            f"  body: {block(answered)}",
            encoding="utf-8",
        )
        print(f"{status} {dialect} {name}: {len(answered)} characters")


if __name__ == "__main__":
    main()
