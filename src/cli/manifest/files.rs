//! The paths of `-f`: files, folders of files, or standard input; each with any number of documents.

use std::{
    fs,
    io::Read,
    path::{Path, PathBuf},
};

use serde_json::Value;

use super::yaml;
use crate::cli::{Error, terminal};

/// One object, and the file that contains it.
#[derive(Clone, Debug)]
pub struct Document {
    /// The path, as given.
    pub file: String,
    /// The object.
    pub object: Value,
}

impl Document {
    /// The kind.
    #[must_use]
    pub fn kind(&self) -> &str {
        self.object["kind"].as_str().unwrap_or_default()
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.object.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default()
    }

    /// The namespace, if it names one.
    #[must_use]
    pub fn namespace(&self) -> Option<&str> {
        self.object.pointer("/metadata/namespace").and_then(Value::as_str)
    }
}

/// Reads all paths in order; the files of a folder by name. What is not an object is skipped in a folder, and named on
/// standard error.
///
/// # Errors
/// A file cannot be read, is not YAML, or was given by its name and contains something else than objects.
pub fn read(paths: &[PathBuf], is_recursive: bool) -> Result<Vec<Document>, Error> {
    let mut documents = Vec::new();
    for path in paths {
        let is_folder = path.is_dir();
        for file in if is_folder { files(path, is_recursive)? } else { vec![path.clone()] } {
            let (found, skipped) = parse(&file.display().to_string(), &text(&file)?);
            match skipped {
                Some(skipped) if !(is_folder && skipped.is_harmless) => return Err(Error::Failed(skipped.why)),
                Some(skipped) => terminal::complain(&format!("warning: skipped: {}", skipped.why)),
                None => {}
            }
            documents.extend(found);
        }
    }
    Ok(documents)
}

fn files(folder: &Path, is_recursive: bool) -> Result<Vec<PathBuf>, Error> {
    let failed = |error| Error::File { path: folder.to_owned(), error };
    let mut entries = fs::read_dir(folder).map_err(failed)?.collect::<Result<Vec<_>, _>>().map_err(failed)?;
    entries.sort_by_key(fs::DirEntry::file_name);
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.path();
        let extension = path.extension().and_then(|extension| extension.to_str());
        // A link to a folder could lead back here.
        if entry.file_type().map_err(failed)?.is_dir() {
            files.extend(if is_recursive { self::files(&path, true)? } else { Vec::new() });
        } else if matches!(extension, Some("yaml" | "yml" | "json")) && path.is_file() {
            files.push(path);
        }
    }
    Ok(files)
}

fn text(path: &Path) -> Result<String, Error> {
    let failed = |error| Error::File { path: path.to_owned(), error };
    if path.as_os_str() == "-" {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).map_err(failed)?;
        return Ok(text);
    }
    fs::read_to_string(path).map_err(failed)
}

/// What a file contains beside objects.
struct Skipped {
    why: String,
    /// In a folder it may stay: it was never meant to be an object.
    is_harmless: bool,
}

/// The objects of one file, and the first document that is not one. A `List`, as `kubectl get -o yaml` prints it, is its
/// items.
fn parse(file: &str, text: &str) -> (Vec<Document>, Option<Skipped>) {
    let values = match yaml::documents(text) {
        Ok(values) => values,
        Err(why) => {
            let is_template = text.contains("{{");
            let hint = if is_template { "; it looks like a template, which must be rendered first" } else { "" };
            return (Vec::new(), Some(Skipped { why: format!("{file}: {why}{hint}"), is_harmless: is_template }));
        }
    };
    let objects = values.into_iter().flat_map(items).filter(|value| !value.is_null());
    let (mut documents, mut skipped) = (Vec::new(), None);
    for (index, object) in objects.enumerate() {
        match not_an_object(file, &object) {
            None => documents.push(Document { file: file.to_owned(), object }),
            Some(why) => {
                let why = format!("{file}: document {} {why}", index + 1);
                skipped = skipped.or(Some(Skipped { why, is_harmless: true }));
            }
        }
    }
    (documents, skipped)
}

/// The items of a list of any kind, lists in it too; else the value itself.
fn items(mut value: Value) -> Vec<Value> {
    let Some(of) = value["kind"].as_str().and_then(|kind| kind.strip_suffix("List")).map(str::to_owned) else {
        return vec![value];
    };
    let version = value["apiVersion"].clone();
    let Value::Array(mut items) = value["items"].take() else { return vec![value] };
    // Those of a typed list need not say what they are.
    for item in items.iter_mut().filter(|item| item.is_object() && item["kind"].is_null() && !of.is_empty()) {
        item["kind"] = of.as_str().into();
        item["apiVersion"] = version.clone();
    }
    items.into_iter().flat_map(self::items).collect()
}

fn not_an_object(file: &str, value: &Value) -> Option<String> {
    let is_kustomization =
        value["apiVersion"].as_str().is_some_and(|version| version.starts_with("kustomize.config.k8s.io/"));
    let path = Path::new(file);
    let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    if is_kustomization || stem == "kustomization" {
        let folder = path.parent().map(|folder| folder.display().to_string()).filter(|folder| !folder.is_empty());
        let folder = folder.unwrap_or_else(|| ".".into());
        return Some(format!(
            "is a kustomization, which is not applied here; render it with: kubectl kustomize {folder} | kubectl kanary … -f -"
        ));
    }
    let is_sound = value["kind"].is_string() && value["metadata"].is_object();
    (!is_sound).then(|| "is not a Kubernetes object: kind and metadata are required".to_owned())
}
