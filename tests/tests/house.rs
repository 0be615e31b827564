//! The house stands: floors, circles, rooms and pages of this checkout, and proof that each check would
//! see a violation, by planting one in a copy.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use maof_core::ErrorKind;
use maof_tests::house::{self, Finding};

type Check = fn(&Path) -> anyhow::Result<Vec<Finding>>;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

fn error_pages(root: &Path) -> anyhow::Result<Vec<Finding>> {
    house::error_pages(root, &ErrorKind::ALL.map(ErrorKind::as_str))
}

/// The check finds nothing in this checkout.
fn holds(check: Check) {
    let findings = check(&root()).unwrap();
    let told: Vec<String> = findings.iter().map(ToString::to_string).collect();
    assert!(told.is_empty(), "{} findings:\n{}", told.len(), told.join("\n"));
}

/// The check finds in a copy of this checkout, once `plant` has been there, just `expect` more than before.
fn finds(check: Check, plant: impl FnOnce(&Path), expect: &[&str]) {
    let copy = tempfile::tempdir().unwrap();
    copy_sources(&root(), copy.path());
    let before: BTreeSet<Finding> = check(copy.path()).unwrap().into_iter().collect();
    plant(copy.path());
    let after: BTreeSet<Finding> = check(copy.path()).unwrap().into_iter().collect();
    let new: Vec<String> = after.difference(&before).map(ToString::to_string).collect();
    assert_eq!(new.len(), expect.len(), "{new:#?}");
    for (new, expect) in new.iter().zip(expect) {
        assert!(new.contains(expect), "{new}\ndoes not say: {expect}");
    }
}

/// Copies what the checks read: manifests, Rust files and pages.
fn copy_sources(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let (path, name) = (entry.path(), entry.file_name().into_string().unwrap());
        let wanted = [".rs", ".md", "Cargo.toml"].iter().any(|end| name.ends_with(end));
        if path.is_dir() && name != "target" && !name.starts_with('.') {
            copy_sources(&path, &to.join(name));
        } else if path.is_file() && wanted {
            fs::copy(&path, to.join(name)).unwrap();
        }
    }
}

fn append(file: PathBuf, text: &str) {
    let old = fs::read_to_string(&file).unwrap_or_default();
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(file, old + text).unwrap();
}

/// Adds one line to a table of a manifest.
fn depend(manifest: PathBuf, table: &str, line: &str) {
    let old = fs::read_to_string(&manifest).unwrap();
    let new = old.replacen(&format!("[{table}]\n"), &format!("[{table}]\n{line}\n"), 1);
    assert_ne!(old, new, "{} has no [{table}]", manifest.display());
    fs::write(manifest, new).unwrap();
}

#[test]
fn crates_import_only_from_lower_floors() {
    holds(house::floors);
}

#[test]
fn no_circle_of_files_is_large_or_crosses_folders() {
    holds(house::circles);
}

#[test]
fn files_and_functions_are_small_and_files_say_what_they_are() {
    holds(house::rooms);
}

#[test]
fn every_error_kind_has_its_page() {
    holds(error_pages);
}

#[test]
fn every_invariant_names_a_test_that_exists() {
    holds(house::invariants);
}

#[test]
fn a_planted_sibling_import_is_found() {
    let plant = |root: &Path| {
        depend(root.join("crates/maof-router/Cargo.toml"), "dependencies", "maof-budget.workspace = true");
        depend(
            root.join("crates/maof-budget/Cargo.toml"),
            "dev-dependencies",
            "maof-aggregate.workspace = true",
        );
    };
    finds(house::floors, plant, &["crates/maof-router/Cargo.toml: imports its sibling `maof-budget`"]);
}

#[test]
fn a_planted_arrow_up_is_found() {
    let plant = |root: &Path| {
        depend(root.join("crates/maof-core/Cargo.toml"), "dependencies", "maof-engine.workspace = true");
        depend(root.join("crates/maof-router/Cargo.toml"), "dependencies", "axum.workspace = true");
        depend(root.join("crates/maof-local/Cargo.toml"), "dependencies", "maof-testkit.workspace = true");
        depend(root.join("crates/maof-store/Cargo.toml"), "dev-dependencies", "maof.workspace = true");
    };
    let expect = [
        "crates/maof-core/Cargo.toml: floor 0 imports `maof-engine` of floor 1",
        "crates/maof-core/Cargo.toml: the ground may not depend on `maof-engine`",
        "crates/maof-local/Cargo.toml: `maof-testkit` may only be a dev-dependency",
        "crates/maof-router/Cargo.toml: `axum` belongs behind the wall of maof-http and maof-testkit",
        "crates/maof-store/Cargo.toml: floor 1 imports `maof` of floor 2",
    ];
    finds(house::floors, plant, &expect);
}

#[test]
fn a_planted_crate_without_a_floor_is_found() {
    let plant = |root: &Path| {
        let manifest = "[package]\nname = \"maof-utils\"\nversion = \"0.1.0\"\n";
        append(root.join("crates/maof-utils/Cargo.toml"), manifest);
        append(root.join("crates/maof-utils/src/lib.rs"), "//! A planted crate.\n");
    };
    finds(house::floors, plant, &["crates/maof-utils/Cargo.toml: `maof-utils` stands on no floor"]);
}

#[test]
fn a_planted_circle_of_six_files_is_found() {
    let plant = |root: &Path| {
        let src = root.join("crates/maof-core/src");
        append(src.join("lib.rs"), "\nmod planted;\n");
        append(src.join("planted/mod.rs"), "//! Planted.\nmod m0; mod m1; mod m2; mod m3; mod m4; mod m5;\n");
        for at in 0..6 {
            let next = (at + 1) % 6;
            let text =
                format!("//! Planted.\nuse super::m{next}::T{next};\npub struct T{at}(Box<T{next}>);\n");
            append(src.join(format!("planted/m{at}.rs")), &text);
        }
    };
    finds(house::circles, plant, &["planted/m0.rs: a circle of 6 files; at most 5: "]);
}

#[test]
fn a_planted_circle_across_folders_is_found() {
    let plant = |root: &Path| {
        let src = root.join("crates/maof-core/src");
        append(src.join("lib.rs"), "\nmod planted;\n");
        append(
            src.join("planted/mod.rs"),
            "//! Planted.\nuse crate::money::Planted;\npub struct Inner(Planted);\n",
        );
        append(src.join("money.rs"), "\npub struct Planted(crate::planted::Inner);\n");
    };
    finds(house::circles, plant, &["a circle across folders, of 2 files: "]);
}

#[test]
fn planted_long_and_nameless_rooms_are_found() {
    let plant = |root: &Path| {
        let src = root.join("crates/maof-core/src");
        let function = |name: &str, lines: usize| format!("fn {name}() {{\n{}}}\n", "\n".repeat(lines - 2));
        append(src.join("planted_600.rs"), &format!("//! Planted.\n{}", "\n".repeat(599)));
        append(src.join("planted_601.rs"), &format!("//! Planted.\n{}", "\n".repeat(600)));
        append(src.join("planted_80.rs"), &format!("//! Planted.\n{}", function("eighty", 80)));
        append(src.join("planted_81.rs"), &format!("//! Planted.\n{}", function("eighty_one", 81)));
        append(
            src.join("planted_macro.rs"),
            &format!("//! Planted.\nmake! {{\n{}}}\n", function("hidden", 81)),
        );
        append(src.join("planted_nameless.rs"), "fn nameless() {}\n");
    };
    let expect = [
        "maof-core/src/planted_601.rs:601: the file has 601 lines; at most 600",
        "maof-core/src/planted_81.rs:2: `eighty_one` has 81 lines; at most 80",
        "maof-core/src/planted_macro.rs:3: `hidden` has 81 lines; at most 80",
        "maof-core/src/planted_nameless.rs:1: the file does not begin with `//!`",
    ];
    finds(house::rooms, plant, &expect);
}

#[test]
fn a_missing_and_a_stray_error_page_are_found() {
    let plant = |root: &Path| {
        fs::remove_file(root.join("docs/errors/timeout.md")).unwrap();
        append(root.join("docs/errors/oops.md"), "# oops\n");
    };
    finds(error_pages, plant, &["oops.md: is the page of no error kind", "timeout.md: missing"]);
}

#[test]
fn an_invariant_without_a_living_test_is_found() {
    let plant = |root: &Path| {
        let page = "# Planted\n\n## Invariants\n\n1. Holds.\n   Test: `a_planted_sibling_import_is_found`.\n\
                    2. Nobody guards `this`.\n3. Held once. Tests: `house::gone_long_ago`.\n";
        fs::write(root.join("ARCHITECTURE.md"), page).unwrap();
    };
    let expect =
        ["ARCHITECTURE.md:7: the invariant names no test", "there is no test `house::gone_long_ago`"];
    finds(house::invariants, plant, &expect);
}
