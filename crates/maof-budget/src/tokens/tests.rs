//! Counts equal those of the reference, whole and in parts.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod exact;
mod families;
mod installed;
mod parts;
mod published;
mod rules;
mod written;

use std::sync::LazyLock;

use tiktoken_rs::CoreBPE;

use super::Encoding;

static CL100K: LazyLock<CoreBPE> = LazyLock::new(|| tiktoken_rs::cl100k_base().unwrap());
static O200K: LazyLock<CoreBPE> = LazyLock::new(|| tiktoken_rs::o200k_base().unwrap());

const BOTH: [Encoding; 2] = [Encoding::Cl100k, Encoding::O200k];

fn reference(encoding: Encoding, text: &str) -> u64 {
    let reference = match encoding {
        Encoding::Cl100k => &CL100K,
        Encoding::O200k => &O200K,
    };
    reference.encode_ordinary(text).len() as u64
}
