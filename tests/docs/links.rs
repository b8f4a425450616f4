//! Links between the pages, and to files and sections, as GitHub resolves them.

use std::{
    collections::{BTreeSet, HashMap},
    path::{Path, PathBuf},
};

use crate::{files, read, repository};

#[test]
fn every_link_resolves() {
    let pages = files(repository(), "md");
    assert!(pages.len() >= 30, "{} pages", pages.len());
    let broken: Vec<String> = pages.iter().flat_map(|page| broken(page)).collect();
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

#[test]
fn every_guide_is_in_the_index() {
    let index = read("docs/README.md");
    for page in files(&repository().join("docs"), "md") {
        let name = page.strip_prefix(repository().join("docs")).expect("below docs").to_string_lossy().into_owned();
        let is_listed = index.contains(&format!("]({name})")) || name == "README.md" || name.starts_with("decisions/0");
        assert!(is_listed, "docs/README.md does not list {name}");
    }
    let decisions = read("docs/decisions/README.md");
    for page in files(&repository().join("docs/decisions"), "md") {
        let name = page.file_name().expect("a name").to_string_lossy().into_owned();
        assert!(name == "README.md" || decisions.contains(&format!("]({name})")), "no line for {name}");
    }
}

#[test]
fn anchors_are_made_as_github_makes_them() {
    let cases = [
        ("Quick start on kind", "quick-start-on-kind"),
        ("`spec.validation.items[].promQL`", "specvalidationitemspromql"),
        ("Runs: the next version, and another try", "runs-the-next-version-and-another-try"),
        ("A [link](somewhere.md#here) & more", "a-link--more"),
        ("kanary_item_value", "kanary_item_value"),
    ];
    for (heading, expected) in cases {
        assert_eq!(slug(heading), expected);
    }
    let twice = anchors("# One\n## One\n```\n# not a heading\n```\n## One\n");
    assert_eq!(twice, ["one", "one-1", "one-2"].map(str::to_owned).into());
}

/// What is wrong with the links of a page.
fn broken(page: &Path) -> Vec<String> {
    let here = page.strip_prefix(repository()).expect("in the repository").display();
    let complain = |target: String| Some(format!("{here}: {target}: {}", fault(page, &target)?));
    targets(&read(page)).into_iter().filter_map(complain).collect()
}

fn fault(page: &Path, target: &str) -> Option<String> {
    if ["http://", "https://", "mailto:"].iter().any(|scheme| target.starts_with(scheme)) {
        return None;
    }
    let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
    let folder = page.parent().expect("a folder");
    let file = if path.is_empty() { page.to_owned() } else { folder.join(path) };
    let Ok(file) = file.canonicalize() else { return Some("no such file".into()) };
    if !file.starts_with(repository().canonicalize().expect("the repository")) {
        return Some("is outside the repository".into());
    }
    missing_anchor(file, anchor)
}

fn missing_anchor(file: PathBuf, anchor: &str) -> Option<String> {
    if anchor.is_empty() {
        return None;
    }
    let file = if file.is_dir() { file.join("README.md") } else { file };
    let is_there = file.extension().is_some_and(|is| is == "md") && anchors(&read(file)).contains(anchor);
    (!is_there).then(|| "no such section".into())
}

/// Where the links and pictures of a page point to.
fn targets(text: &str) -> Vec<String> {
    let mut targets = Vec::new();
    for line in prose(text) {
        let outside: String = line.split('`').step_by(2).collect::<Vec<_>>().join("`");
        for (open, close) in [("](", ')'), ("src=\"", '"'), ("srcset=\"", '"'), ("href=\"", '"')] {
            let found = outside.split(open).skip(1).filter_map(|rest| rest.split(close).next());
            targets.extend(found.map(str::to_owned));
        }
    }
    targets
}

/// The lines outside code blocks.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut is_code = false;
    text.lines().filter(move |line| {
        let is_fence = line.trim_start().starts_with("```");
        is_code ^= is_fence;
        !is_code && !is_fence
    })
}

/// The anchors of a page; of headings that are equal, the later ones are numbered.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut seen: HashMap<String, usize> = HashMap::new();
    let mut anchors = BTreeSet::new();
    for line in prose(text).filter(|line| line.starts_with('#')) {
        let slug = slug(line.trim_start_matches('#').trim());
        let count = seen.entry(slug.clone()).or_default();
        anchors.insert(if *count == 0 { slug } else { format!("{slug}-{count}") });
        *count += 1;
    }
    anchors
}

/// In lower case, without punctuation, spaces as dashes; of a link its text.
fn slug(heading: &str) -> String {
    let mut text = String::new();
    let mut rest = heading;
    while let Some((before, after)) = rest.split_once("](") {
        text += before;
        rest = after.split_once(')').map_or("", |(_, after)| after);
    }
    text += rest;
    let kept = text.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}
