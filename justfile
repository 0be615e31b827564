# The steps of the gate, one recipe each. `just` comes from your package manager, or with `pip install rust-just`.

# Arguments reach a command as they were quoted.
set positional-arguments

# Lists the recipes.
default:
    @just --list

# Everything the gate does.
ci:
    .ci/run

# All tests, or those that nextest's arguments select: `just test -E 'package(maof-core)'`.
test *args:
    scripts/test "$@"

# Format everything.
fmt:
    cargo fmt --all

# Formatting and clippy, warnings denied.
lint:
    .ci/run fmt lint

# The documentation, warnings denied.
doc:
    .ci/run doc

# Licences, bans and sources of all dependencies; advisories where their database can be had.
deny:
    .ci/run deny

# Writes the golden files under docs/ and shows how they differ from what is committed.
golden:
    .ci/run golden

# Builds the examples.
examples:
    .ci/run examples

# The outside judge, against a server started for it.
accept:
    .ci/run accept

# Every fault that an upstream is known for, played at a real server; the exit code is the number of red rows.
# `just wall F08`, `just wall --without retry`, `just wall --layers`, `--storm`, `--capacity`: docs/failure-wall.md.
wall *args:
    cargo build --workspace --bins --locked
    "${CARGO_TARGET_DIR:-target}/debug/wall" "$@"

# Spends in every way that could overspend, at real servers and at each ledger; the exit code is the number of red rows.
# `just money sqlite`, `just money --planted`: docs/money.md.
money *args:
    scripts/money "$@"

# The benchmarks; docs/benchmarks.md says how to read them.
bench *args:
    cargo bench -p maof-benches "$@"

# Trains the committed models again, byte for byte, from the training part of the data.
train:
    cargo run --release -p maof-local --example train

# Learned routing: trains on one half of the public outcomes (MAOF_DATA), judges on the other, prints all measures.
routing:
    cargo run --release -p maof-router --example routing

# Fetches the public originals of those outcomes, pinned by commit, into a folder (default target/data).
data *args:
    scripts/data "$@"

# The official SDKs in front of a server of ours, all of them or those that are named: `just sdks anthropic`.
sdks *args:
    scripts/sdks "$@"

# The gateway in front of a real model, a small one that is installed and served here; or any command with that model.
model *args:
    scripts/model "$@"

# Records what the local model's server answers, as the fixtures of maof-providers.
record:
    scripts/model python tests/model/record.py

# Fuzzes one target for ten minutes, on top of the committed corpus (needs `cargo install cargo-fuzz`): `just fuzz sse`.
fuzz target seconds="600":
    cd fuzz && mkdir -p corpus/"$1" && RUSTC_BOOTSTRAP=1 cargo fuzz run -O "$1" corpus/"$1" ../tests/corpus/"$1" -- -max_total_time="$2"
