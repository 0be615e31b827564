#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let target = maof_tests::fuzz::TARGETS.iter().find(|(name, _)| *name == "openai_responses");
    target.expect("a target of that name").1(bytes);
});
