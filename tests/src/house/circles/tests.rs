//! Small crates, and the circles that are found in them.
#![allow(clippy::unwrap_used)]

use std::fs;

use super::circles_of;

/// Writes `files` as a crate and compares its findings, each cut off at its first colon.
fn check(files: &[(&str, &str)], expect: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let found = circles_of(folder.path(), &folder.path().join("lib.rs")).unwrap();
    let found: Vec<String> = found.iter().map(ToString::to_string).collect();
    let cut: Vec<String> =
        found.iter().map(|f| f.splitn(3, ": ").take(2).collect::<Vec<_>>().join(": ")).collect();
    assert_eq!(cut, expect, "{found:#?}");
}

/// A crate of `count` files in one folder, each naming the next, the last the first.
fn ring(count: usize) -> Vec<(String, String)> {
    let mods: String = (0..count).map(|at| format!("mod m{at};")).collect();
    let file = |at: usize| {
        let next = (at + 1) % count;
        (format!("m{at}.rs"), format!("use crate::m{next}::T{next}; pub struct T{at}(Box<T{next}>);"))
    };
    std::iter::once(("lib.rs".to_owned(), mods)).chain((0..count).map(file)).collect()
}

#[test]
fn a_ring_may_have_five_files_but_not_six() {
    for (count, expect) in [(5, [].as_slice()), (6, &["m0.rs: a circle of 6 files; at most 5"])] {
        let files = ring(count);
        let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (&**name, &**text)).collect();
        check(&files, expect);
    }
}

#[test]
fn a_ring_across_folders_is_found_however_it_is_written() {
    let forms = [
        ("use crate::b::B; pub struct A(B);", "use crate::a::A; pub struct B(A);"),
        ("use super::b; pub struct A(b::B);", "use super::super::a; pub struct B(a::A);"),
        ("pub struct A(crate::b::B);", "pub fn f() -> u8 { crate::a::A::new() } pub struct B;"),
        ("pub struct A(crate::b::B);", "pub struct B; fn f() { println!(\"{}\", crate::a::A::N) }"),
        ("use crate::b::*; pub struct A(B);", "use crate::{a::A as Other}; pub struct B(Other);"),
        ("pub struct A; fn f() { use crate::b::B; }", "pub struct B; impl From<crate::a::A> for B {}"),
    ];
    for (a, b) in forms {
        let b = b.replace("super::super::", "crate::");
        let files = [("lib.rs", "mod a; mod b;"), ("a.rs", a), ("b/mod.rs", &*b)];
        check(&files, &["a.rs: a circle across folders, of 2 files"]);
    }
}

#[test]
fn a_module_that_only_passes_names_on_is_in_no_ring() {
    check(
        &[
            ("lib.rs", "pub mod room; pub use room::{First, Second};"),
            ("room/mod.rs", "mod first; mod second; pub use first::First; pub use second::*;"),
            ("room/first.rs", "use super::Second; pub struct First(Second);"),
            ("room/second.rs", "use crate::room::third as _; pub struct Second;"),
        ],
        &[],
    );
}

#[test]
fn an_arrow_goes_through_re_exports_to_the_defining_file() {
    check(
        &[
            ("lib.rs", "mod a; mod b;"),
            ("a/mod.rs", "mod inner; pub use inner::Inner as Renamed;"),
            ("a/inner.rs", "use crate::b::B; pub struct Inner(B);"),
            ("b/mod.rs", "mod deep; pub use self::deep::B;"),
            ("b/deep.rs", "pub struct B(crate::a::Renamed);"),
        ],
        &["a/inner.rs: a circle across folders, of 2 files"],
    );
}

#[test]
fn tests_and_other_crates_draw_no_arrow() {
    check(
        &[
            ("lib.rs", "mod a; mod b; pub use serde::Value;"),
            (
                "a.rs",
                "pub struct A; #[cfg(test)] mod tests { use crate::b::B; } #[cfg(test)] use crate::b::B;",
            ),
            (
                "b/mod.rs",
                "use crate::a::A; use crate::Value; use serde::a::b; pub struct B(A); #[cfg(test)] mod tests;",
            ),
            ("b/tests.rs", "use crate::a::A;"),
        ],
        &[],
    );
}

#[test]
fn what_a_macro_makes_belongs_to_the_file_of_the_macro() {
    check(
        &[
            ("lib.rs", "mod a; mod b;"),
            ("a.rs", "make! { Made } pub struct A(crate::b::B);"),
            ("b/mod.rs", "pub struct B(crate::a::Made);"),
        ],
        &["a.rs: a circle across folders, of 2 files"],
    );
}
