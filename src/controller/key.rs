//! The name of a `KanaryDeployment`, and the span of its log lines.

use tracing::Span;

use crate::{api::KanaryDeployment, objects::Object};

/// Which `KanaryDeployment`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    pub namespace: String,
    pub name: String,
}

impl Key {
    pub fn new(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }

    pub fn of(kanary: &KanaryDeployment) -> Self {
        Self::new(kanary.namespace(), kanary.name())
    }

    /// What every log line of a reconciliation has. Not `name`: in JSON each span has that key already, for its own name.
    pub fn span(&self, run: Option<i64>) -> Span {
        tracing::info_span!("reconcile", namespace = self.namespace, kanary = self.name, run)
    }
}

#[cfg(test)]
mod tests {
    use std::{io, sync::Arc};

    use parking_lot::Mutex;
    use serde::Deserialize;
    use tracing_subscriber::fmt;

    use super::*;

    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Log {
        fn write(&mut self, line: &[u8]) -> io::Result<usize> {
            self.0.lock().extend_from_slice(line);
            Ok(line.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Reading it refuses a key that is there twice.
    #[derive(Deserialize, Debug, PartialEq)]
    struct Fields {
        namespace: String,
        kanary: String,
        run: i64,
        name: String,
    }

    #[derive(Deserialize)]
    struct Line {
        span: Fields,
    }

    #[test]
    fn a_line_in_json_has_each_key_once() {
        let log = Log::default();
        let writer = log.clone();
        let subscriber = fmt().json().with_writer(move || writer.clone()).finish();
        tracing::subscriber::with_default(subscriber, || {
            Key::new("shop", "try").span(Some(2)).in_scope(|| tracing::info!("status updated"));
        });
        let line: Line = serde_json::from_slice(&log.0.lock()).expect("no key is there twice");
        let span = Fields { namespace: "shop".into(), kanary: "try".into(), run: 2, name: "reconcile".into() };
        assert_eq!(line.span, span);
    }
}
