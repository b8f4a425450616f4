//! For which run each manual verdict was given, by the statuses that were written: a model beside the core's own record.

use std::collections::BTreeMap;

use kanary::{
    api::KanaryDeployment,
    decision::{Observed, StatusUpdate},
    objects::Object,
};
use serde_json::{Value, json};

/// Where it is, an item's name or nothing, and what it says.
type Word = (String, String);

#[derive(Default)]
pub struct Words {
    /// By uid: the run that was under way when the verdict was first seen.
    runs: BTreeMap<String, BTreeMap<Word, i64>>,
}

impl Words {
    /// A status was written: all verdicts that it was decided on are known from now on.
    pub fn told(&mut self, observed: &Observed, tell: &StatusUpdate) {
        let (before, kanary) = (observed.status(), &*observed.kanary);
        let run = tell.status.run.unwrap_or_default();
        let edits = before.observed_generation.zip(kanary.metadata.generation).map_or(1, |(then, now)| now - then);
        // What came before a new template, or after it, without a look in between: the run before had it.
        let first = if before.run.is_some_and(|last| last < run) && edits > 1 { run - 1 } else { run };
        let known = self.runs.entry(kanary.uid().to_owned()).or_default();
        let now = all(kanary).into_iter().map(|(word, bound)| {
            let run = bound.or_else(|| known.get(&word).copied()).unwrap_or(first);
            (word, run)
        });
        *known = now.collect();
    }

    /// What is said in this place, for this run.
    pub fn said(&self, kanary: &KanaryDeployment, place: &str, run: i64) -> Option<String> {
        let known = self.runs.get(kanary.uid())?;
        let (word, _) = all(kanary).into_iter().find(|((at, _), _)| at == place)?;
        (known.get(&word) == Some(&run)).then(|| word.1.split(' ').next().unwrap_or_default().to_owned())
    }

    /// The run of the verdict that stands here, for another than this one.
    pub fn is_old(&self, kanary: &KanaryDeployment, place: &str, run: i64) -> bool {
        all(kanary).iter().any(|((at, _), _)| at == place) && self.said(kanary, place, run).is_none()
    }
}

/// The place of the verdict on the whole run.
pub const WHOLE: &str = "";

fn all(kanary: &KanaryDeployment) -> Vec<(Word, Option<i64>)> {
    let validation = &kanary.spec.validation;
    let items = validation.named_items().into_iter().map(|(name, item)| (name, json!(item.manual)));
    let places = std::iter::once((WHOLE.to_owned(), json!(validation.manual))).chain(items);
    let word = |(place, manual): (String, Value)| {
        let text = format!("{} {}", manual["status"].as_str()?, manual["reason"]);
        Some(((place, text), manual["run"].as_i64()))
    };
    places.filter_map(word).collect()
}
