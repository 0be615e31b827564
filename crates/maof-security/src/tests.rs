//! Who gets in with which key.
#![allow(clippy::unwrap_used)]

use maof_core::{ErrorKind, Name, Role};
use proptest::prelude::*;

use super::*;

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn entry(text: &str) -> (maof_core::Secret, KeyEntry) {
    KeyEntry::generate(name(text), name("acme"), name("build"), vec![Role::User]).unwrap()
}

#[test]
fn a_key_leads_to_its_principal_and_no_other() {
    let ((a, mut first), (b, second)) = (entry("a"), entry("b"));
    first.agents = Some(vec![name("lexicon")]);
    let keyring = Keyring::from_entries(vec![first, second]).unwrap();
    let principal = keyring.authenticate(a.expose()).unwrap();
    assert_eq!(principal.key, Some(name("a")));
    assert!(principal.grant.allows("lexicon") && !principal.grant.allows("bayes"));
    assert!(keyring.authenticate(b.expose()).unwrap().grant.allows("bayes"));
    keyring.replace(vec![]).unwrap();
    assert!(keyring.authenticate(a.expose()).is_err());
}

/// Also after keys were replaced; and a key that names agents itself is held to both.
#[test]
fn callers_of_a_tier_may_ask_whom_the_tier_names() {
    let ((a, mut first), (b, mut second), (c, third)) = (entry("a"), entry("b"), entry("c"));
    (first.tier, second.tier) = (name("free"), name("free"));
    second.agents = Some(vec![name("lexicon"), name("dear")]);
    let tiers = Tiers::from([(name("free"), vec![name("cheap"), name("lexicon")])]);
    let entries = vec![first, second, third];
    let keyring = Keyring::from_entries(entries.clone()).unwrap().with_tiers(tiers).unwrap();
    for _ in 0..2 {
        let check = |key: &maof_core::Secret, allowed: [bool; 3]| {
            let grant = &keyring.authenticate(key.expose()).unwrap().grant;
            assert_eq!(["cheap", "lexicon", "dear"].map(|agent| grant.allows(agent)), allowed);
        };
        check(&a, [true, true, false]);
        check(&b, [false, true, false]);
        check(&c, [true, true, true]);
        keyring.replace(entries.clone()).unwrap();
    }
}

#[test]
fn a_refusal_says_nothing_of_the_key() {
    let keyring = Keyring::from_entries(vec![entry("a").1]).unwrap();
    let long = format!("maof_{}", "x".repeat(10_000));
    for key in ["", "maof_", "maof_SECRETPROBE", "sk-SECRETPROBE", " ", "maof_\u{0}", &long] {
        let error = keyring.authenticate(key).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unauthenticated);
        assert!(!format!("{error:?}").contains("SECRETPROBE"));
    }
}

#[test]
fn a_key_file_keeps_hashes_only_and_is_the_owners() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("keys.json");
    let (key, first) = entry("a");
    Keyring::from_entries(vec![first]).unwrap().save(&path).unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(!text.contains(key.expose()) && text.contains("sha256:"));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
    assert!(Keyring::load(&path).unwrap().authenticate(key.expose()).is_ok());
}

#[test]
fn what_lies_in_the_way_of_a_key_file_is_not_written_through() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("keys.json");
    let keyring = Keyring::from_entries(vec![entry("a").1]).unwrap();
    // An earlier death left a file that all may read.
    std::fs::write(dir.path().join("keys.json.new"), "{").unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let open = std::fs::Permissions::from_mode(0o644);
        std::fs::set_permissions(dir.path().join("keys.json.new"), open).unwrap();
        keyring.save(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let other = dir.path().join("other");
        std::fs::write(&other, "precious").unwrap();
        std::os::unix::fs::symlink(&other, dir.path().join("keys.json.new")).unwrap();
        keyring.save(&path).unwrap();
        assert_eq!(std::fs::read_to_string(&other).unwrap(), "precious");
    }
    keyring.save(&path).unwrap();
    assert!(!dir.path().join("keys.json.new").exists());
    let error = keyring.save(&dir.path().join("nowhere/keys.json")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
}

#[test]
fn a_refused_replacement_changes_nothing() {
    let (key, first) = entry("a");
    let keyring = Keyring::from_entries(vec![first.clone()]).unwrap();
    let wrong = KeyEntry { hash: "sha256:0".to_owned(), ..entry("b").1 };
    assert_eq!(keyring.replace(vec![first, wrong]).unwrap_err().field(), Some("keys[1].hash"));
    assert!(keyring.authenticate(key.expose()).is_ok());
}

#[test]
fn a_large_keyring_is_read_at_once() {
    let key = |i: usize| KeyEntry {
        name: name(&format!("k{i}")),
        hash: format!("sha256:{i:064x}"),
        ..entry("a").1
    };
    let entries: Vec<KeyEntry> = (0..20_000).map(key).collect();
    let keyring = Keyring::from_entries(entries.clone()).unwrap();
    assert!(format!("{keyring:?}").contains("20000"), "{keyring:?}");
    let twice = entries.into_iter().chain([key(0)]).collect();
    assert_eq!(Keyring::from_entries(twice).unwrap_err().field(), Some("keys[20000].name"));
}

#[test]
fn a_malformed_key_file_is_refused_by_file_and_field() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("keys.json");
    let check = |text: &str, field: &str| {
        std::fs::write(&path, text).unwrap();
        let error = Keyring::load(&path).unwrap_err();
        assert!(error.message().contains("keys.json"), "{error}");
        assert_eq!(error.field(), Some(field), "{error}");
    };
    let key = |more: &str| {
        format!(
            "{{\"version\": 1, \"keys\": [{{\"name\": \"a\", \"tenant\": \"t\", \"user\": \"u\", {more}}}]}}"
        )
    };
    check("{", "keys");
    check("{\"version\": 2, \"keys\": []}", "version");
    check(&key("\"roles\": [\"user\"], \"hash\": \"md5:1\""), "keys[0].hash");
    let signed = format!("\"roles\": [\"user\"], \"hash\": \"sha256:{}\"", "+1".repeat(32));
    check(&key(&signed), "keys[0].hash");
    check(&key("\"roles\": [], \"hash\": \"sha256:00\""), "keys[0].roles");
    check(&key("\"roles\": [\"king\"], \"hash\": \"x\""), "keys");
    assert_eq!(Keyring::load(&dir.path().join("nope")).unwrap_err().kind(), ErrorKind::NotFound);
    let (_, twice) = entry("a");
    assert!(Keyring::from_entries(vec![twice.clone(), twice]).is_err());
}

proptest! {
    #[test]
    fn nothing_made_up_gets_in(text in ".{0,80}", tail in "[A-Za-z0-9_-]{43}") {
        let keyring = Keyring::from_entries(vec![entry("a").1]).unwrap();
        prop_assert!(keyring.authenticate(&text).is_err());
        prop_assert!(keyring.authenticate(&["maof_", &tail].concat()).is_err());
    }

    /// A key is known whole or not at all, whichever of its letters is wrong, lost or doubled.
    #[test]
    fn a_damaged_key_does_not_get_in(place in 0_usize..48, letter in "[A-Za-z0-9_-]") {
        let (key, first) = entry("a");
        let keyring = Keyring::from_entries(vec![first]).unwrap();
        let right = key.expose();
        prop_assert_eq!(right.len(), 48);
        let (before, after) = (&right[..place], &right[place + 1..]);
        let changed = [before, &letter, after].concat();
        prop_assert_eq!(keyring.authenticate(&changed).is_ok(), changed == right);
        prop_assert!(keyring.authenticate(&[before, after].concat()).is_err());
        prop_assert!(keyring.authenticate(&[before, &letter, &right[place..]].concat()).is_err());
    }
}
