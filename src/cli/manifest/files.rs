//! The paths of `-f`: files, folders of files, or standard input; each with any number of documents.

use std::{
    fs,
    io::Read,
    path::{Path, PathBuf},
};

use serde_json::Value;

use crate::cli::Error;

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

/// Reads all paths in order; the files of a folder by name.
///
/// # Errors
/// A file cannot be read, or is not YAML.
pub fn read(paths: &[PathBuf]) -> Result<Vec<Document>, Error> {
    let mut documents = Vec::new();
    for path in paths {
        for file in files(path)? {
            documents.extend(parse(&file.display().to_string(), &text(&file)?)?);
        }
    }
    Ok(documents)
}

fn files(path: &Path) -> Result<Vec<PathBuf>, Error> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let failed = |error| Error::File { path: path.to_owned(), error };
    let entries = fs::read_dir(path).map_err(failed)?.collect::<Result<Vec<_>, _>>().map_err(failed)?;
    let is_manifest = |path: &PathBuf| {
        let extension = path.extension().and_then(|extension| extension.to_str());
        matches!(extension, Some("yaml" | "yml" | "json")) && path.is_file()
    };
    let mut files: Vec<PathBuf> = entries.into_iter().map(|entry| entry.path()).filter(is_manifest).collect();
    files.sort();
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

/// The objects of one file. A `List`, as `kubectl get -o yaml` prints it, is its items.
///
/// # Errors
/// Not YAML, or not a Kubernetes object.
pub fn parse(file: &str, text: &str) -> Result<Vec<Document>, Error> {
    let values: Vec<Value> =
        serde_saphyr::from_multiple(text).map_err(|error| Error::Failed(format!("{file}: {error}")))?;
    let objects = values.into_iter().flat_map(|value| match value["items"].as_array() {
        Some(items) if value["kind"].as_str().is_some_and(|kind| kind.ends_with("List")) => items.clone(),
        Some(_) | None => vec![value],
    });
    let objects: Vec<Value> = objects.filter(|object| !object.is_null()).collect();
    let is_sound = |object: &Value| object["kind"].is_string() && object["metadata"].is_object();
    match objects.iter().position(|object| !is_sound(object)) {
        Some(index) => {
            let why = "is not a Kubernetes object: kind and metadata are required";
            Err(Error::Failed(format!("{file}: document {} {why}", index + 1)))
        }
        None => Ok(objects.into_iter().map(|object| Document { file: file.to_owned(), object }).collect()),
    }
}
