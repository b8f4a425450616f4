//! What a review would forget: the core stays pure, every file says what it is for, and every end-to-end test is run.

#![allow(clippy::expect_used)] // a test that fails by a panic says what it expected

use std::{
    fs,
    path::{Path, PathBuf},
};

/// The folders where nothing waits, asks or looks at a clock.
const PURE: [&str; 7] = ["api", "canary", "lifecycle", "scale", "seen", "traffic", "validation"];
/// What would make a decision depend on more than its arguments.
const IMPURE: [&str; 7] =
    ["async ", ".await", "tokio::", "kube::Client", "Timestamp::now", "Instant::now", "SystemTime"];

fn sources(dir: &str) -> Vec<(PathBuf, String)> {
    fn collect(dir: &Path, files: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(dir).expect("the directory is there").flatten() {
            let path = entry.path();
            if path.is_dir() {
                collect(&path, files);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    let mut files = Vec::new();
    collect(&Path::new(env!("CARGO_MANIFEST_DIR")).join(dir), &mut files);
    files.into_iter().map(|path| (path.clone(), fs::read_to_string(path).expect("it is text"))).collect()
}

#[test]
fn the_core_is_pure() {
    for folder in PURE {
        for (path, text) in sources(&format!("src/{folder}")) {
            for word in IMPURE {
                assert!(!text.contains(word), "{}: `{word}` belongs into src/controller or src/cli", path.display());
            }
        }
    }
}

#[test]
fn every_file_says_what_it_is_for() {
    for folder in ["src", "tests", "e2e/src", "e2e/tests"] {
        for (path, text) in sources(folder) {
            assert!(text.starts_with("//! "), "{}: begins with `//! ` and what it is for", path.display());
        }
    }
}

/// Without its entry cargo gives a file a test harness of its own, which finds no test in it and passes.
#[test]
fn every_end_to_end_test_has_its_entry() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let manifest = fs::read_to_string(root.join("e2e/Cargo.toml")).expect("it is there");
    for entry in fs::read_dir(root.join("e2e/tests")).expect("it is there").flatten() {
        let path = entry.path();
        let Some(name) = path.file_stem().and_then(|name| name.to_str()).filter(|_| path.is_file()) else { continue };
        let wanted = format!("[[test]]\nname = \"{name}\"\nharness = false\n");
        assert!(manifest.contains(&wanted), "e2e/Cargo.toml lacks:\n{wanted}");
    }
}
