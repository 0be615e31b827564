//! Packs what counting tokens needs: each encoding's merges, and the class of every character.
//!
//! The vocabularies come from the crate `tiktoken`, the classes from `regex-syntax`, so that neither is read,
//! unpacked or kept when the program runs. The formats are those of `src/tokens/vocabulary.rs` and `class.rs`.

use std::collections::HashMap;
use std::error::Error;
use std::path::Path;
use std::{env, fs};

use regex_syntax::hir::{Class, HirKind};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    let out = env::var("OUT_DIR")?;
    let out = Path::new(&out);
    fs::write(out.join("cl100k.merges"), merges(&tiktoken::encoding::cl100k_base())?)?;
    fs::write(out.join("o200k.merges"), merges(&tiktoken::encoding::o200k_base())?)?;
    fs::write(out.join("classes"), classes()?)?;
    Ok(())
}

/// For each token, in the order of its rank, the two tokens that it is merged from, in three bytes each, little
/// end first. A token of one byte is that byte and `0xff_ffff`.
fn merges(vocabulary: &tiktoken::CoreBpe) -> Result<Vec<u8>, Box<dyn Error>> {
    let mut singles = HashMap::new();
    let mut pairs: HashMap<(u32, u32), u32> = HashMap::new();
    let mut packed = Vec::new();
    let tokens = u32::try_from(vocabulary.vocab_size())?;
    for id in 0..tokens {
        let bytes = vocabulary.decode(&[id]);
        let (first, second) = if let [byte] = bytes[..] {
            singles.insert(byte, id);
            (u32::from(byte), 0xff_ffff)
        } else {
            let pair = last_two(&bytes, &singles, &pairs)
                .ok_or_else(|| format!("token {id} is not merged from two tokens of lower rank"))?;
            pairs.insert(pair, id);
            pair
        };
        packed.extend_from_slice(&first.to_le_bytes()[..3]);
        packed.extend_from_slice(&second.to_le_bytes()[..3]);
    }
    Ok(packed)
}

/// The two tokens that are left of `bytes` when all merges of lower rank are done.
fn last_two(
    bytes: &[u8],
    singles: &HashMap<u8, u32>,
    pairs: &HashMap<(u32, u32), u32>,
) -> Option<(u32, u32)> {
    let mut parts: Vec<u32> = bytes.iter().map(|b| singles.get(b).copied()).collect::<Option<_>>()?;
    while parts.len() > 2 {
        let at = |i: usize| pairs.get(&(parts[i], parts[i + 1])).map(|rank| (*rank, i));
        let (rank, i) = (0..parts.len() - 1).filter_map(at).min()?;
        parts[i] = rank;
        parts.remove(i + 1);
    }
    Some((*parts.first()?, *parts.get(1)?))
}

/// A byte for each character up to U+10FFFF, as `class::Class` numbers them; 256 in a block, and each block
/// that differs once: a byte for which block each 256 characters have, the blocks.
fn classes() -> Result<Vec<u8>, Box<dyn Error>> {
    let mut of = vec![0_u8; 0x11_0000];
    // `src/tokens/class.rs` names these.
    let names = [r"[\p{Lu}\p{Lt}]", r"\p{Ll}", r"[\p{Lm}\p{Lo}]", r"\p{M}", r"\p{N}", r"\s", r"[\r\n]"];
    for (class, pattern) in (1..).zip(names) {
        let hir = regex_syntax::parse(pattern)?;
        let HirKind::Class(Class::Unicode(set)) = hir.kind() else {
            return Err(format!("{pattern} is no class of characters").into());
        };
        for range in set.ranges() {
            of[range.start() as usize..=range.end() as usize].fill(class);
        }
    }
    let mut blocks: Vec<&[u8]> = Vec::new();
    let mut index = Vec::new();
    for block in of.chunks(256) {
        let known = blocks.iter().position(|b| *b == block);
        index.push(u8::try_from(known.unwrap_or(blocks.len()))?);
        if known.is_none() {
            blocks.push(block);
        }
    }
    Ok([&index[..], &blocks.concat()].concat())
}
