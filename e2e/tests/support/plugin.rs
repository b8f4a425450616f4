//! `kubectl kanary`, as a user runs it in the test's namespace.

use std::path::PathBuf;

use kanary_e2e::{Context, Error, TestNamespace};
use tokio::process::Command;

/// What the plugin printed, and its exit code.
pub struct Output {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

/// Its path.
pub fn program(ns: &TestNamespace) -> Result<PathBuf, Error> {
    ns.lab()?.artifacts().plugin().ok_or_else(|| Error::wrong("the lab has no kubectl-kanary"))
}

/// A command that is yet to be run, in the test's namespace.
pub fn command(ns: &TestNamespace, arguments: &[&str]) -> Result<Command, Error> {
    let mut command = Command::new(program(ns)?);
    command.args(arguments).args(["-n", ns.name()]).env("KUBECONFIG", ns.lab()?.kubeconfig());
    command.kill_on_drop(true);
    Ok(command)
}

/// `kubectl kanary ARGUMENTS`, in the test's namespace.
pub async fn call(ns: &TestNamespace, arguments: &[&str]) -> Result<Output, Error> {
    let done = command(ns, arguments)?.output().await.context(|| format!("run {arguments:?}"))?;
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Ok(Output { code: done.status.code(), out: text(done.stdout), err: text(done.stderr) })
}

/// The same; it must succeed.
pub async fn good(ns: &TestNamespace, arguments: &[&str]) -> Result<String, Error> {
    let output = call(ns, arguments).await?;
    assert_eq!(output.code, Some(0), "{arguments:?}: {}{}", output.out, output.err);
    Ok(output.out)
}

/// The same; it must fail with this message.
pub async fn refused(ns: &TestNamespace, arguments: &[&str], words: &str) -> Result<(), Error> {
    let output = call(ns, arguments).await?;
    assert_eq!(output.code, Some(1), "{arguments:?}: {}{}", output.out, output.err);
    assert!(output.err.contains(words), "{arguments:?}: {words:?} is not in {:?}", output.err);
    assert_eq!(output.out, "", "{arguments:?}");
    Ok(())
}
