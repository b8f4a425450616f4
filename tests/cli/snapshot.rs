//! Files with the expected output, and the program that prints it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use libtest_mimic::Trial;

/// The repository: paths in output are relative to it.
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A folder of this test.
pub fn folder(name: &str) -> PathBuf {
    repository().join("tests/cli").join(name)
}

/// The files of a folder with that extension, by name; there are some.
pub fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    let mut files: Vec<PathBuf> = entries.filter(|path| path.extension().is_some_and(|e| e == extension)).collect();
    files.sort();
    assert!(!files.is_empty(), "{} has cases", folder.display());
    files
}

/// A test for each file, named after it.
pub fn each(group: &str, files: Vec<PathBuf>, test: fn(&Path)) -> Vec<Trial> {
    let trial = |file: PathBuf| crate::trial(&format!("{group}::{}", stem(&file)), move || test(&file));
    files.into_iter().map(trial).collect()
}

/// The name of a file without its extension.
pub fn stem(file: &Path) -> String {
    file.file_stem().expect("a name").to_str().expect("UTF-8").to_owned()
}

/// What the program printed.
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

/// Fails unless the file contains this text; with `KANARY_SNAPSHOTS=write`, writes it first.
#[track_caller]
pub fn compare(file: &Path, text: &str) {
    if std::env::var("KANARY_SNAPSHOTS").is_ok_and(|value| value == "write") {
        fs::write(file, text).expect("the snapshot is written");
    }
    let expected = fs::read_to_string(file).unwrap_or_default();
    similar_asserts::assert_eq!(expected, text, "{}", file.display());
}

/// Runs the program as CI would; the command, what it prints, and the exit code.
pub fn run(arguments: &[&str]) -> String {
    let output = program(arguments).output().expect("the program runs");
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    let code = output.status.code().expect("it ends by itself");
    format!("$ kubectl kanary {}\n{out}{err}[exit {code}]\n", arguments.join(" "))
}

/// The program, without any cluster configured.
pub fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kubectl-kanary"));
    command.args(arguments).current_dir(repository()).env("KUBECONFIG", "/dev/null").env("HOME", "/nonexistent");
    for proxy in ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "NO_PROXY", "no_proxy"] {
        command.env_remove(proxy);
    }
    command
}

/// As on a screen without colours.
pub fn plain(text: &str) -> String {
    anstream::adapter::strip_str(text).to_string()
}
