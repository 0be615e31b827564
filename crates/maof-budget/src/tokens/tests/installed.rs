//! Texts of the Debian package `iso-codes`: names of languages and places, translated by people.

use std::fs;
use std::path::Path;

use super::*;

/// Languages in twelve and more scripts.
pub(super) const LANGUAGES: [&str; 20] = [
    "am", "ar", "bn", "de", "el", "fa", "fr", "he", "hi", "hy", "ja", "ka", "ko", "ml", "ru", "ta", "th",
    "uk", "vi", "zh_CN",
];
const DOMAINS: [&str; 4] = ["iso_639-3", "iso_3166-1", "iso_3166-2", "iso_15924"];
const MOST: usize = 1_500;

/// The translations of a compiled catalogue
/// (<https://www.gnu.org/software/gettext/manual/html_node/MO-Files.html>); none where it is not well formed.
fn translations(catalogue: &[u8]) -> Option<Vec<String>> {
    let number = |at: usize| {
        let bytes = catalogue.get(at..at + 4)?;
        Some(u32::from_le_bytes(bytes.try_into().ok()?) as usize)
    };
    let (strings, table) = (number(8)?, number(16)?);
    // The first is the catalogue's own description.
    let translation = |i: usize| {
        let (length, at) = (number(table + 8 * i)?, number(table + 8 * i + 4)?);
        String::from_utf8(catalogue.get(at..at + length)?.to_vec()).ok()
    };
    (1..strings).map(translation).collect()
}

/// What is installed of a language, bounded.
pub(super) fn of_language(language: &str) -> Vec<String> {
    let folder = Path::new("/usr/share/locale").join(language).join("LC_MESSAGES");
    let read = |domain: &str| fs::read(folder.join(format!("{domain}.mo"))).ok();
    DOMAINS.iter().filter_map(|d| translations(&read(d)?)).flatten().take(MOST).collect()
}

#[test]
fn counts_equal_the_reference_on_the_translations_that_are_installed() {
    let mut texts = 0;
    let mut scripts = 0;
    for language in LANGUAGES {
        let of_language = of_language(language);
        for text in &of_language {
            for encoding in BOTH {
                assert_eq!(
                    encoding.count(text),
                    reference(encoding, text),
                    "{encoding:?} {language}: {text}"
                );
            }
        }
        texts += of_language.len();
        scripts += usize::from(!of_language.is_empty());
    }
    if scripts == 0 {
        println!("skipped: the package iso-codes is not installed");
        return;
    }
    println!("{texts} texts in {scripts} languages");
    assert!(texts > 10_000, "{texts} texts in {scripts} languages");
}
