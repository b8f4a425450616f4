//! `kubectl kanary`, as a person calls it in the namespace's namespace.

use std::path::PathBuf;

use kanary_e2e::{Context, Error, TestNamespace};
use tokio::process::Command;

/// What the tool said, and how it ended.
pub struct Said {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

/// Where it is.
pub fn program(ns: &TestNamespace) -> Result<PathBuf, Error> {
    ns.lab()?.artifacts().plugin().ok_or_else(|| Error::wrong("the lab has no kubectl-kanary"))
}

/// A call of it that is yet to be made, in the namespace's namespace.
pub fn command(ns: &TestNamespace, arguments: &[&str]) -> Result<Command, Error> {
    let mut command = Command::new(program(ns)?);
    command.args(arguments).args(["-n", ns.name()]).env("KUBECONFIG", ns.lab()?.kubeconfig());
    command.kill_on_drop(true);
    Ok(command)
}

/// `kubectl kanary ARGUMENTS`, in the namespace's namespace.
pub async fn call(ns: &TestNamespace, arguments: &[&str]) -> Result<Said, Error> {
    let output = command(ns, arguments)?.output().await.context(|| format!("run {arguments:?}"))?;
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Ok(Said { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) })
}

/// The same; it must go well.
pub async fn good(ns: &TestNamespace, arguments: &[&str]) -> Result<String, Error> {
    let said = call(ns, arguments).await?;
    assert_eq!(said.code, Some(0), "{arguments:?}: {}{}", said.out, said.err);
    Ok(said.out)
}

/// The same; it must fail, with these words.
pub async fn refused(ns: &TestNamespace, arguments: &[&str], words: &str) -> Result<(), Error> {
    let said = call(ns, arguments).await?;
    assert_eq!(said.code, Some(1), "{arguments:?}: {}{}", said.out, said.err);
    assert!(said.err.contains(words), "{arguments:?}: {words:?} is not in {:?}", said.err);
    assert_eq!(said.out, "", "{arguments:?}");
    Ok(())
}
