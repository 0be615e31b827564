//! What the fuzzer found worth keeping, read again.
#![allow(clippy::unwrap_used)]

use maof_tests::fuzz::TARGETS;

#[test]
fn the_corpus_of_every_target_is_read_without_a_panic() {
    for (name, target) in TARGETS {
        let folder = format!("{}/corpus/{name}", env!("CARGO_MANIFEST_DIR"));
        let mut seen = 0;
        for file in std::fs::read_dir(&folder).unwrap() {
            target(&std::fs::read(file.unwrap().path()).unwrap());
            seen += 1;
        }
        println!("{name}: {seen} inputs");
        assert!(seen >= 8, "{folder}");
    }
}
