//! The docs hold what they promise: links resolve, tables list what the code has, drawings are those of their texts.

#![allow(clippy::expect_used)] // a test that fails by a panic says what it expected

mod drawing;
mod drawings;
mod flags;
mod links;
mod palette;
mod reference;
mod tables;

use std::{
    fs,
    path::{Path, PathBuf},
};

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The text of a file of the repository.
fn read(path: impl AsRef<Path>) -> String {
    let path = repository().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The files below a folder with that extension, builds and git's own left out.
fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        let is_ours = !["target", ".git"].iter().any(|name| path.ends_with(name));
        if path.is_dir() && is_ours {
            found.extend(files(&path, extension));
        } else if path.extension().is_some_and(|is| is == extension) {
            found.push(path);
        }
    }
    found.sort();
    found
}

#[test]
fn the_readme_is_short() {
    let words = read("README.md").split_whitespace().count();
    assert!(words <= 900, "README.md has {words} words (limit 900); what is more belongs into docs/");
}
