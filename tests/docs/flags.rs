//! docs/operations.md lists exactly the controller's flags, and docs/cli.md the verbs of the kubectl plugin.

use std::{collections::BTreeMap, process::Command};

use crate::{read, tables};

/// What `--help` says of a flag.
#[derive(Debug, Default, PartialEq)]
struct Flag {
    variable: Option<String>,
    default: Option<String>,
}

fn help(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().expect("the program runs");
    String::from_utf8(output.stdout).expect("UTF-8")
}

#[test]
fn the_controllers_flags_are_documented() {
    let mut actual: BTreeMap<String, Flag> = BTreeMap::new();
    let mut last = String::new();
    for line in help(env!("CARGO_BIN_EXE_kanary"), &["run", "--help"]).lines().map(str::trim) {
        if let Some(flag) = line.strip_prefix("--") {
            last = format!("--{}", flag.split_whitespace().next().unwrap_or_default());
            actual.entry(last.clone()).or_default();
        }
        let Some(flag) = actual.get_mut(&last) else { continue };
        let between = |open: &str, close: &[char]| line.split_once(open)?.1.split(close).next().map(str::to_owned);
        flag.variable = between("[env: ", &['=', ']']).or(flag.variable.take());
        flag.default = between("[default: ", &[']']).or(flag.default.take());
    }
    assert!(actual.len() > 5, "{actual:?}");
    let rows = tables::rows(&read("docs/operations.md"));
    let rows = rows.iter().filter(|row| row.columns.first().is_some_and(|column| column == "flag"));
    let documented: BTreeMap<String, Flag> = rows.map(flag).collect();
    similar_asserts::assert_eq!(format!("{documented:#?}"), format!("{actual:#?}"));
}

fn flag(row: &tables::Row) -> (String, Flag) {
    let names = row.names();
    let default = tables::quoted(row.cell("default").unwrap_or_default());
    let owned = |text: Option<&&str>| text.map(|text| (*text).to_owned());
    (owned(names.first()).unwrap_or_default(), Flag { variable: owned(names.get(1)), default: owned(default.first()) })
}

#[cfg(feature = "cli")]
#[test]
fn the_plugins_verbs_are_documented() {
    use std::collections::BTreeSet;

    let help = help(env!("CARGO_BIN_EXE_kubectl-kanary"), &["--help"]);
    let list = help.split_once("Commands:\n").expect("commands").1.split("\n\n").next().unwrap_or_default();
    let verbs = list.lines().filter_map(|line| line.strip_prefix("  ")?.split(' ').next());
    let actual: BTreeSet<&str> = verbs.filter(|verb| !verb.is_empty() && *verb != "help").collect();
    for page in ["README.md", "docs/cli.md"] {
        let rows = tables::rows(&read(page));
        let rows = rows.iter().filter(|row| row.columns.first().is_some_and(|column| column == "verb"));
        let names = rows.flat_map(tables::Row::names).filter_map(|name| name.split(' ').next());
        assert_eq!(names.collect::<BTreeSet<&str>>(), actual, "{page}");
    }
}
