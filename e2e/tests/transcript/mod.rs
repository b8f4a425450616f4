//! docs/transcripts: real commands and their output. `KANARY_TRANSCRIPTS=write` rewrites them; otherwise they are
//! compared, so that the docs show what is printed.
//!
//! Times, ages and the random part of names are replaced by constants, and tables are aligned again.

use std::{env, fs};

use kanary_e2e::{Context, Error, TestNamespace, manifests};
use regex::Regex;

use crate::support::{TRIAL, plugin::call, production};

/// One file: its name, and the commands in it.
struct Transcript<'a> {
    file: &'a str,
    text: String,
}

pub async fn the_docs_show_what_is_printed(ns: TestNamespace) -> Result<(), Error> {
    production(&ns).await?;
    let mut generate = Transcript::new("generate.txt");
    let yaml = generate
        .add(
            &ns,
            &[
                "generate",
                "web",
                "--name",
                TRIAL,
                "--service",
                "web",
                "--traffic",
                "service",
                "--validation-period",
                "1h",
            ],
        )
        .await?;
    generate.done()?;
    ns.apply(yaml.replace("image: web:1", "image: web:2")).await?;
    ns.until_phase(TRIAL, "Validating").await?;
    for reason in ["Started", "Validating"] {
        crate::support::until_event(&ns, reason).await?;
    }
    let mut run = Transcript::new("run.txt");
    run.add(&ns, &["get"]).await?;
    run.add(&ns, &["describe", TRIAL]).await?;
    run.add(&ns, &["approve", TRIAL, "--reason", "error rate and latency are fine"]).await?;
    ns.until_phase(TRIAL, "Succeeded").await?;
    run.add(&ns, &["get", "-o", "wide"]).await?;
    run.add(&ns, &["reject", TRIAL]).await?;
    run.add(&ns, &["retry", TRIAL]).await?;
    run.done()?;
    let mut gitops = Transcript::new("gitops-ignore.txt");
    gitops.add(&ns, &["gitops-ignore", TRIAL]).await?;
    gitops.done()
}

impl<'a> Transcript<'a> {
    fn new(file: &'a str) -> Self {
        Self { file, text: String::new() }
    }

    /// Runs the plugin, and records what it prints.
    async fn add(&mut self, ns: &TestNamespace, arguments: &[&str]) -> Result<String, Error> {
        let output = call(ns, arguments).await?;
        let quoted = |word: &&str| if word.contains(' ') { format!("'{word}'") } else { (*word).to_owned() };
        let words: Vec<String> = arguments.iter().map(quoted).collect();
        let text = realigned(&constant(&format!("{}{}", output.out, output.err), ns.name())?);
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        self.text += &format!("$ kubectl kanary {}\n{text}", words.join(" "));
        Ok(output.out)
    }

    fn done(self) -> Result<(), Error> {
        let path = manifests::repository().join("docs/transcripts").join(self.file);
        let what = || format!("write {}", path.display());
        if env::var("KANARY_TRANSCRIPTS").is_ok_and(|value| value == "write") {
            fs::create_dir_all(path.parent().unwrap_or(&path)).context(what)?;
            fs::write(&path, &self.text).context(what)?;
        }
        let expected = fs::read_to_string(&path).unwrap_or_default();
        let how = "KANARY_TRANSCRIPTS=write cargo test -p kanary-e2e --test cli -- the_docs";
        assert!(expected == self.text, "{} is not what is printed now; {how}\n{}", path.display(), self.text);
        Ok(())
    }
}

/// What differs each time, replaced.
fn constant(text: &str, namespace: &str) -> Result<String, Error> {
    let mut text = text.replace(namespace, "shop");
    for (pattern, with) in [
        (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "2026-01-01T00:00:00Z"),
        (r"-kanary-[a-z0-9]{6,10}-[a-z0-9]{5}\b", "-kanary-5d8f7c9b6-x7k2q"),
        (r"(^|[ +/(])((\d+m)?\d+s|\d+m)\b", "${1}5s"),
    ] {
        let pattern = Regex::new(pattern).context(|| format!("read {pattern}"))?;
        text = pattern.replace_all(&text, with).into_owned();
    }
    Ok(text)
}

/// Lines that follow each other with equally many cells, three spaces or more apart, are a table: its columns are
/// aligned.
fn realigned(text: &str) -> String {
    let cells = |line: &str| -> Vec<String> {
        let indent = line.len() - line.trim_start().len();
        let mut cells: Vec<String> =
            line.trim().split("   ").map(|cell| cell.trim().to_owned()).filter(|cell| !cell.is_empty()).collect();
        if let Some(first) = cells.first_mut() {
            *first = format!("{}{first}", " ".repeat(indent));
        }
        cells
    };
    let rows: Vec<Vec<String>> = text.lines().map(cells).collect();
    let mut aligned = String::new();
    let mut from = 0;
    while from < rows.len() {
        let columns = rows[from].len();
        let to = from + rows[from..].iter().take_while(|row| row.len() == columns).count();
        let width = |column: usize| rows[from..to].iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        for (row, line) in rows[from..to].iter().zip(text.lines().skip(from)) {
            if columns < 3 {
                aligned += line;
            } else {
                let padded =
                    row.iter().enumerate().map(|(column, cell)| format!("{cell:<width$}", width = width(column)));
                aligned += padded.collect::<Vec<_>>().join("   ").trim_end();
            }
            aligned.push('\n');
        }
        from = to;
    }
    aligned
}
