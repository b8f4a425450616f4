//! The docs show what the CLI prints, and the krew manifest is valid.

use std::fs;

use libtest_mimic::Trial;
use serde_json::Value;

use crate::{
    snapshot::{files, folder, repository},
    trials,
};

/// The tests of this file.
pub fn trials() -> Vec<Trial> {
    trials![the_docs_show_what_is_printed, the_krew_manifest_is_valid,]
}

/// Blocks of text in docs/cli.md that show output: each piece between two `…` is part of a transcript or of a plan.
fn the_docs_show_what_is_printed() {
    let read = |path| fs::read_to_string(path).expect("text");
    let mut printed: Vec<String> = files(&repository().join("docs/transcripts"), "txt").into_iter().map(read).collect();
    printed.extend(files(&folder("plan"), "txt").into_iter().map(read));
    let page = read(repository().join("docs/cli.md"));
    let shown: Vec<&str> = page.split("```text\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(shown.len() >= 2, "docs/cli.md shows output");
    let pieces = shown.iter().flat_map(|block| block.split("…\n")).flat_map(|piece| piece.split("\n\n$"));
    for piece in pieces {
        let piece = piece.trim_start_matches(['$', ' ']).trim_end();
        assert!(printed.iter().any(|text| text.contains(piece)), "printed nowhere:\n{piece}");
    }
}

/// Filled in as for a release.
fn the_krew_manifest_is_valid() {
    let template = fs::read_to_string(repository().join(".krew.yaml")).expect(".krew.yaml");
    let line = template.lines().find(|line| line.contains("addURIAndSha")).expect("an address");
    let address = line.split('"').nth(1).expect("an address").replace("{{ .TagName }}", "v0.1.0");
    let filled = format!("    uri: {address}\n    sha256: {}", "0".repeat(64));
    let manifest = template.replace(line, &filled).replace("{{ .TagName }}", "v0.1.0");
    let manifest: Value = serde_saphyr::from_str(&manifest).expect("YAML");
    assert_eq!(manifest["spec"]["version"], "v0.1.0");
    assert_eq!(manifest["spec"]["platforms"][0]["bin"], "kubectl-kanary");
    let archive = fs::read_to_string(repository().join("Makefile")).expect("Makefile");
    let file = address.rsplit('/').next().expect("a file");
    assert!(archive.contains(file), "`make plugin` makes {file}");
    let short = manifest["spec"]["shortDescription"].as_str().expect("text");
    assert!(short.len() <= 50 && !short.ends_with('.'), "as krew's index wants it: {short}");
}
