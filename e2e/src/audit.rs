//! The requests of a user to the API server, as the API server itself recorded them.

use std::{
    fs::File,
    io::{Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use serde::Deserialize;

use crate::{Context, Error};

/// Records only requests of the ServiceAccounts of Kanary's namespace.
///
/// The first stage is left out, so that a request is one line; a watch is two, its start and its end.
pub const POLICY: &str = r#"
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: Metadata
  userGroups: ["system:serviceaccounts:kanary-system"]
- level: None
"#;

/// The longest line for one request at level Metadata, in bytes.
const LONGEST_LINE: u64 = 64 << 10;

/// The audit log of a lab.
#[derive(Debug, Clone)]
pub struct Audit {
    log: PathBuf,
}

/// A moment in the log.
#[derive(Debug, Clone, Copy)]
pub struct Mark(u64);

/// One request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// The user, e.g. `system:serviceaccount:kanary-system:kanary`.
    pub user: String,
    /// The user agent.
    pub agent: String,
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`.
    pub verb: String,
    /// The API group; empty for the core group.
    pub group: String,
    /// Plural, with the subresource: `deployments`, `kanarydeployments/status`; empty for discovery and the like.
    pub resource: String,
    /// Empty for what has none.
    pub namespace: String,
    /// Empty for lists and watches.
    pub name: String,
    /// The HTTP status.
    pub code: u16,
    /// Path and query, for messages of a failed test.
    pub uri: String,
}

impl Call {
    /// Whether it opened a watch.
    pub fn is_watch(&self) -> bool {
        self.verb == "watch"
    }

    /// Whether it renewed or read a Lease, which a controller does indefinitely.
    pub fn is_lease(&self) -> bool {
        self.group == "coordination.k8s.io" && self.resource == "leases"
    }

    /// Whether it changes something.
    pub fn is_write(&self) -> bool {
        !matches!(self.verb.as_str(), "get" | "list" | "watch")
    }
}

impl Audit {
    /// The log at `path`, which need not exist yet.
    pub fn at(path: &Path) -> Self {
        Self { log: path.to_owned() }
    }

    /// Now. The API server writes a line before it responds, so requests that were answered by now are before the mark.
    pub fn mark(&self) -> Mark {
        Mark(self.log.metadata().map(|meta| meta.len()).unwrap_or(0))
    }

    /// The calls since `mark`, by users whose name ends in `user`; a watch counts when it opens.
    pub fn since(&self, mark: Mark, user: &str) -> Result<Vec<Call>, Error> {
        let text = self.text(mark).context(|| format!("read {}", self.log.display()))?;
        let complete = text.rfind('\n').map_or("", |end| &text[..end]);
        let lines = complete.lines().map(serde_json::from_str::<Line>);
        let lines = lines.collect::<Result<Vec<_>, _>>().context(|| "parse the audit log".into())?;
        let counted = lines.into_iter().filter(|line| (line.verb == "watch") == (line.stage == "ResponseStarted"));
        Ok(counted.map(Call::from).filter(|call| call.user.ends_with(user)).collect())
    }

    /// From the beginning of the line that was being written at the mark, if one was: its client had no response yet.
    fn text(&self, Mark(mark): Mark) -> std::io::Result<String> {
        if !self.log.exists() {
            return Ok(String::new());
        }
        let mut file = File::open(&self.log)?;
        let from = mark.saturating_sub(LONGEST_LINE);
        file.seek(SeekFrom::Start(from))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let before = usize::try_from(mark - from).unwrap_or(usize::MAX).min(bytes.len());
        let begin = bytes[..before].iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        Ok(String::from_utf8_lossy(&bytes[begin..]).into_owned())
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    stage: String,
    verb: String,
    user: User,
    #[serde(rename = "requestURI")]
    uri: String,
    #[serde(default)]
    user_agent: String,
    #[serde(default)]
    object_ref: Object,
    #[serde(default)]
    response_status: Status,
}

#[derive(Deserialize)]
struct User {
    username: String,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Object {
    api_group: String,
    resource: String,
    subresource: String,
    namespace: String,
    name: String,
}

#[derive(Deserialize, Default)]
struct Status {
    #[serde(default)]
    code: u16,
}

impl From<Line> for Call {
    fn from(line: Line) -> Self {
        let object = line.object_ref;
        let slash = if object.subresource.is_empty() { "" } else { "/" };
        Self {
            user: line.user.username,
            agent: line.user_agent,
            verb: line.verb,
            group: object.api_group,
            resource: format!("{}{slash}{}", object.resource, object.subresource),
            namespace: object.namespace,
            name: object.name,
            code: line.response_status.code,
            uri: line.uri,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Audit;

    fn line(stage: &str, verb: &str, user: &str) -> String {
        let object =
            r#"{"apiGroup":"apps","resource":"deployments","subresource":"status","namespace":"n","name":"d"}"#;
        format!(
            r#"{{"stage":"{stage}","verb":"{verb}","user":{{"username":"{user}"}},"requestURI":"/","objectRef":{object}}}"#
        ) + "\n"
    }

    #[test]
    fn a_watch_counts_once_and_a_half_written_line_not_yet() -> Result<(), crate::Error> {
        let dir = tempfile::tempdir()?;
        let audit = Audit::at(&dir.path().join("audit.log"));
        let before = audit.mark();
        let text = [
            line("ResponseStarted", "watch", "a"),
            line("ResponseComplete", "watch", "a"),
            line("ResponseComplete", "patch", "a"),
            line("ResponseComplete", "get", "b"),
            r#"{"stage":"Resp"#.into(),
        ];
        std::fs::write(dir.path().join("audit.log"), text.concat())?;
        let calls = audit.since(before, "a")?;
        assert_eq!(calls.iter().filter(|call| call.is_watch()).count(), 1);
        assert_eq!(calls.iter().filter(|call| call.is_write()).count(), 1);
        assert_eq!(calls[1].resource, "deployments/status");
        let within = audit.mark();
        assert_eq!(audit.since(within, "")?, []);
        let rest = line("ResponseComplete", "patch", "a").replacen(r#"{"stage":"Resp"#, "", 1);
        std::fs::write(dir.path().join("audit.log"), text.concat() + &rest)?;
        assert_eq!(audit.since(within, "a")?.len(), 1, "its response came after the mark");
        assert_eq!(audit.since(audit.mark(), "")?, []);
        Ok(())
    }
}
