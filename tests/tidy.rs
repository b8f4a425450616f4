//! What a review would forget: arrows between folders only point down, no two files import each other in a circle, the
//! core stays pure, every file says what it is for, and every end-to-end test is run.

#![allow(clippy::expect_used)] // a test that fails by a panic says what it expected

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    sync::LazyLock,
};

use regex::Regex;

/// From the lowest layer to the highest; a folder imports only what stands before it. Folders on one line do not name each
/// other, but for the planners, which are ordered among themselves.
const LAYERS: [&[&str]; 11] = [
    &["hash"],
    &["api"],
    &["objects", "promql"],
    &["decision"],
    &["scale"],
    &["canary"],
    &["validation"],
    &["traffic"],
    &["lifecycle"],
    &["controller", "cli"],
    &["main", "bin"],
];
/// What would make a decision depend on more than its arguments.
const IMPURE: [&str; 7] =
    ["async ", ".await", "tokio::", "kube::Client", "Timestamp::now", "Instant::now", "SystemTime"];
/// The folders that wait, read a clock and send requests.
const SHELL: [&str; 4] = ["controller", "cli", "main", "bin"];

/// All Rust files below a folder of the repository, by their path in it.
fn sources(dir: &str) -> BTreeMap<String, String> {
    fn collect(dir: &Path, root: &Path, files: &mut BTreeMap<String, String>) {
        for entry in fs::read_dir(dir).expect("the directory is there").flatten() {
            let path = entry.path();
            if path.is_dir() {
                collect(&path, root, files);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(root).expect("it is below").display().to_string();
                files.insert(name, fs::read_to_string(&path).expect("it is text"));
            }
        }
    }
    let mut files = BTreeMap::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(dir);
    collect(&root, &root, &mut files);
    files
}

/// The text without comments and without what is compiled for tests only.
fn code(text: &str) -> String {
    let shipped = text.split("#[cfg(test)]").next().unwrap_or_default();
    shipped.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// `src/traffic/mirror/mod.rs` is `traffic`, `mirror`.
fn module(file: &str) -> Vec<&str> {
    let path = file.trim_end_matches(".rs").trim_end_matches("/mod");
    path.split('/').filter(|part| *part != "lib").collect()
}

static USES: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?m)^\s*use ([^;]+);"));
static EXPORTS: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?m)^pub(?:\([a-z]+\))? use ([^;]+);"));
static PATHS: LazyLock<Regex> = LazyLock::new(|| pattern(r"\b(?:(?:crate|super)::)*[a-z_]+(?:::[A-Za-z_]+)+"));
static MODULES: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?m)^(?:pub(?:\([a-z]+\))? )?mod ([a-z_]+);"));

fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("a pattern")
}

/// The paths that a file names, each from the root of its crate: its `use` trees, flattened, and paths in its code. What it
/// only exports further is not its own use.
fn named(file: &str, text: &str) -> BTreeSet<Vec<String>> {
    let code = code(text);
    let own = module(file);
    let children: BTreeSet<&str> =
        MODULES.captures_iter(&code).filter_map(|found| Some(found.get(1)?.as_str())).collect();
    let mut paths: Vec<Vec<String>> = Vec::new();
    for tree in USES.captures_iter(&code) {
        flatten(&[], &tree[1].split_whitespace().collect::<String>(), &mut paths);
    }
    let body = USES.replace_all(&code, "");
    let body = EXPORTS.replace_all(&body, "");
    paths.extend(PATHS.find_iter(&body).map(|path| path.as_str().split("::").map(str::to_owned).collect()));
    let absolute = |path: Vec<String>| absolute(&own, &children, &path);
    paths.into_iter().filter_map(absolute).collect()
}

fn flatten(prefix: &[String], tree: &str, paths: &mut Vec<Vec<String>>) {
    let Some((head, rest)) = tree.split_once('{') else {
        let path = tree.split("::").filter(|part| !part.is_empty() && *part != "self").map(str::to_owned);
        return paths.push(prefix.iter().cloned().chain(path).collect());
    };
    let parts = head.split("::").filter(|part| !part.is_empty()).map(str::to_owned);
    let prefix: Vec<String> = prefix.iter().cloned().chain(parts).collect();
    let body = rest.rsplit_once('}').map_or(rest, |(body, _)| body);
    let mut depth = 0;
    let comma = |letter: char| {
        depth += i32::from(letter == '{') - i32::from(letter == '}');
        letter == ',' && depth == 0
    };
    for part in body.split(comma).filter(|part| !part.is_empty()) {
        flatten(&prefix, part, paths);
    }
}

fn absolute(own: &[&str], children: &BTreeSet<&str>, path: &[String]) -> Option<Vec<String>> {
    let ups = path.iter().take_while(|part| *part == "super").count();
    let below = |from: &[&str], rest: &[String]| {
        from.iter().map(|part| (*part).to_owned()).chain(rest.iter().cloned()).collect::<Vec<_>>()
    };
    match path.first()?.as_str() {
        "crate" => Some(path[1..].to_vec()),
        "super" => Some(below(own.get(..own.len().checked_sub(ups)?)?, &path[ups..])),
        child if children.contains(child) => Some(below(own, path)),
        _ => None,
    }
}

/// The file that holds what a path names: through re-exports to where it is defined.
fn defined_in<'a>(files: &'a BTreeMap<String, String>, path: &[String], depth: usize) -> Option<&'a str> {
    for length in (0..=path.len()).rev() {
        let module = path[..length].join("/");
        let candidates = if module.is_empty() {
            vec!["lib.rs".to_owned(), "main.rs".to_owned()]
        } else {
            vec![format!("{module}.rs"), format!("{module}/mod.rs")]
        };
        let Some((file, text)) = candidates.iter().find_map(|name| files.get_key_value(name)) else { continue };
        let item = path.get(length);
        let exported = item.filter(|_| depth < 4).and_then(|item| reexport(file, text, item));
        return match exported {
            Some(target) => defined_in(files, &target, depth + 1).or(Some(file)),
            None => Some(file),
        };
    }
    None
}

fn reexport(file: &str, text: &str, item: &str) -> Option<Vec<String>> {
    let code = code(text);
    let children = MODULES.captures_iter(&code).filter_map(|found| Some(found.get(1)?.as_str())).collect();
    let mut paths = Vec::new();
    for tree in EXPORTS.captures_iter(&code) {
        flatten(&[], &tree[1].replace(" as ", "@").split_whitespace().collect::<String>(), &mut paths);
    }
    let path = paths.into_iter().find(|path| path.last().is_some_and(|last| last.rsplit('@').next() == Some(item)))?;
    let path: Vec<String> = path.iter().map(|part| part.split('@').next().unwrap_or_default().to_owned()).collect();
    absolute(&module(file), &children, &path)
}

/// Which file uses which other files of its crate.
fn arrows(files: &BTreeMap<String, String>) -> BTreeMap<&str, BTreeSet<&str>> {
    let target = |file: &str, path: &Vec<String>| defined_in(files, path, 0).filter(|target| *target != file);
    files
        .iter()
        .map(|(file, text)| {
            let targets = named(file, text).iter().filter_map(|path| target(file, path)).collect();
            (file.as_str(), targets)
        })
        .collect()
}

fn layer(file: &str) -> Option<usize> {
    let top = file.split('/').next()?.trim_end_matches(".rs");
    LAYERS.iter().position(|layer| layer.contains(&top))
}

fn upward(files: &BTreeMap<String, String>) -> Vec<String> {
    let top = |file: &str| file.split('/').next().unwrap_or_default().to_owned();
    let mut wrong = Vec::new();
    for (from, targets) in arrows(files) {
        for to in targets.into_iter().filter(|to| top(from) != top(to)) {
            if layer(from).is_some() && layer(from) <= layer(to) {
                wrong.push(format!("{from} imports {to}"));
            }
        }
    }
    wrong
}

/// The circles of files: all that reach each other.
fn circles(files: &BTreeMap<String, String>) -> Vec<BTreeSet<String>> {
    let arrows = arrows(files);
    let reach = |from: &str| {
        let mut reached = BTreeSet::new();
        let mut open = vec![from.to_owned()];
        while let Some(file) = open.pop() {
            for to in arrows.get(file.as_str()).into_iter().flatten().filter(|to| !to.ends_with("lib.rs")) {
                if reached.insert((*to).to_owned()) {
                    open.push((*to).to_owned());
                }
            }
        }
        reached
    };
    let all: BTreeMap<&str, BTreeSet<String>> = arrows.keys().map(|file| (*file, reach(file))).collect();
    let circle = |file: &&str| -> BTreeSet<String> {
        let back = |to: &&String| all.get(to.as_str()).is_some_and(|reached| reached.contains(*file));
        all.get(file).into_iter().flatten().filter(back).cloned().collect()
    };
    all.keys().map(circle).filter(|circle| circle.len() > 1).collect::<BTreeSet<_>>().into_iter().collect()
}

#[test]
fn arrows_only_point_down() {
    let files = sources("src");
    let unknown: Vec<_> = files.keys().filter(|file| layer(file).is_none() && *file != "lib.rs").collect();
    assert!(unknown.is_empty(), "LAYERS does not name {unknown:?}");
    let wrong = upward(&files);
    assert!(wrong.is_empty(), "imports that point up:\n{}", wrong.join("\n"));
}

#[test]
fn no_files_import_each_other_in_a_circle() {
    for dir in ["src", "e2e/src"] {
        let found = circles(&sources(dir));
        assert!(found.is_empty(), "{dir}: files that import each other: {found:#?}");
    }
}

#[test]
fn one_wrong_import_is_found() {
    let mut files = sources("src");
    let scale = files.get_mut("scale/mod.rs").expect("it is there");
    scale.push_str("\nuse crate::lifecycle::plan;\n");
    assert_eq!(upward(&files), ["scale/mod.rs imports lifecycle/mod.rs"]);
    let found = circles(&files);
    assert!(found.iter().any(|circle| circle.contains("scale/mod.rs")), "{found:?}");
}

#[test]
fn the_core_is_pure() {
    for (file, text) in sources("src") {
        if SHELL.contains(&file.split('/').next().unwrap_or_default().trim_end_matches(".rs")) {
            continue;
        }
        for word in IMPURE {
            assert!(!text.contains(word), "src/{file}: `{word}` belongs in src/controller or src/cli");
        }
    }
}

#[test]
fn every_file_says_what_it_is_for() {
    for folder in ["src", "tests", "e2e/src", "e2e/tests"] {
        for (file, text) in sources(folder) {
            assert!(text.starts_with("//! "), "{folder}/{file}: begins with `//! ` and what it is for");
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

/// What a text quotes of others must not reach a terminal as it is, so nothing in the hand tool writes but one file.
#[test]
fn the_hand_tool_prints_in_one_place() {
    let prints =
        pattern(r"\be?print(ln)?!|\banstream::std|\bstd(out|err)\(\)\.(lock|write)|\bwrite(ln)?!\((std::)?io::");
    for (file, text) in sources("src/cli").iter().filter(|(file, _)| *file != "terminal.rs") {
        assert!(!prints.is_match(&code(text)), "src/cli/{file}: print through output::print or terminal::complain");
    }
}
