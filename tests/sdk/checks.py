"""What the programs of this folder share: where the server is, what is asked, and one line per check.

A program gives each door a table of checks by name; a check takes a model and raises where something is wrong,
or `Skip` where the nature of a dialect forbids it. Lines are tab-separated: sdk, door, upstream, check, verdict,
reason.
"""

import os
import signal
import sys
import traceback

from pydantic import BaseModel

ORIGIN = os.environ["ORIGIN"]
KEY = os.environ["KEY"]
WRONG_KEY = "sk-nobodys-key"
MODELS = os.environ["MODELS"].split()
UNKNOWN = "nobodys-model"
NO_MODEL = f"is called `{UNKNOWN}`"
SECONDS = 20

PROMPT = "größer 🦀 now"
ANSWER = f"echo: {PROMPT}"
THOUGHT = f"asked: {PROMPT}"


class Skip(Exception):
    """The check cannot work; says why."""


def without_thoughts(model):
    """Skips what shows thoughts, where the upstream's dialect has no words for them."""
    if model == "up-chat":
        raise Skip("OpenAI's chat completions show no thoughts")


class Tool:
    """A tool that notes with what it was called."""

    def __init__(self):
        self.calls = []

    def weather(self, city: str) -> str:
        """The weather of a city.

        Args:
            city: The city's name.
        """
        self.calls.append(city)
        return f"18 C in {city}"

    def used(self, final):
        """The loop went round once, and the final text is the echo of the tool's result."""
        equal(self.calls, [PROMPT], "the tool's calls")
        equal(str(final).startswith("echo: "), True, f"the final text {final!r} begins as an echo")
        equal(f"18 C in {PROMPT}" in final, True, f"the final text {final!r} holds the tool's result")


class Weather(BaseModel):
    """The weather of a city."""

    city: str
    degrees: int


def equal(found, wanted, what):
    """`found` is `wanted`."""
    if found != wanted:
        raise AssertionError(f"{what}: {found!r}, not {wanted!r}")


def whole(text, tokens=None):
    """The answer is the echo; `tokens` are those of the input and the output, a word being one."""
    equal(text, ANSWER, "the text")
    if tokens is not None:
        equal(tuple(tokens), (len(PROMPT.split()), len(ANSWER.split())), "the tokens in and out")


def streamed(pieces, tokens=None):
    """The pieces assemble to the echo, and there are several."""
    pieces = [piece for piece in pieces if piece]
    whole("".join(pieces), tokens)
    equal(len(pieces) > 1, True, "several pieces")


def sample(found):
    """The object is what the scripted upstream makes of the schema of `Weather`."""
    equal(found.model_dump(), {"city": PROMPT, "degrees": 1}, "the object")


def raises(kind, call, status=None, says=None):
    """`call` raises the SDK's own `kind`, with this HTTP status, and its message says what is wrong."""
    try:
        found = call()
    except kind as error:
        if status is not None:
            code = next((getattr(error, a) for a in ("status_code", "code") if hasattr(error, a)), None)
            equal(code, status, "the status of the error")
        if says is not None:
            equal(says in str(error), True, f"the error {str(error)!r} says {says!r}")
        return error
    raise AssertionError(f"no {kind.__name__} but {found!r}")


def run(sdk, door, checks, models=None):
    """Runs each check against each upstream and prints its line."""
    for model in models or MODELS:
        for name, check in checks.items():
            verdict, reason = one(check, model)
            line = [sdk, door, model, name, verdict, " ".join(reason.split())[:400]]
            print("\t".join(line), flush=True)


def one(check, model):
    signal.signal(signal.SIGALRM, late)
    signal.alarm(SECONDS)
    try:
        check(model)
        return "ok", ""
    except Skip as skip:
        return "SKIP", str(skip)
    except BaseException as error:  # noqa: BLE001  # whatever a package raises is a failed check
        if isinstance(error, KeyboardInterrupt):
            raise
        if os.environ.get("SDKS_TRACE"):
            traceback.print_exc(file=sys.stderr)
        return "FAIL", f"{type(error).__name__}: {error}"
    finally:
        signal.alarm(0)


def late(_signal, _frame):
    raise TimeoutError(f"not done within {SECONDS} s")
