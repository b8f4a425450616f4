//! What a person would type: kubectl and its plugin, run for real, and what they print.

use std::{env, iter};

use kanary_e2e::{Context, Error};
use tokio::process::Command;

use crate::run::{Demo, NAMESPACE};

impl Demo {
    /// `kubectl ARGUMENTS`, quoted as a shell needs it; an error is what it printed.
    pub async fn kubectl(&self, arguments: &str) -> Result<(), Error> {
        self.shell(&format!("kubectl {arguments} -n {NAMESPACE}")).await
    }

    /// The list of runs.
    pub async fn list(&self) -> Result<(), Error> {
        self.screen.gap();
        self.kubectl("kanary get").await
    }

    /// What led to the verdict, without conditions and events: they repeat it, in long lines.
    pub async fn verdicts(&self, name: &str) -> Result<(), Error> {
        self.screen.gap();
        let filter = r"sed -n '/^Validation/,/^$/p' | cut -c-80";
        self.shell(&format!("kubectl kanary describe {name} -n {NAMESPACE} | {filter}")).await
    }

    async fn shell(&self, line: &str) -> Result<(), Error> {
        self.screen.output(&format!("$ {line}"));
        // kubectl finds the plugin on the PATH.
        let path = env::var_os("PATH").unwrap_or_default();
        let path = env::join_paths(iter::once(self.bin.clone()).chain(env::split_paths(&path)));
        let mut command = Command::new("sh");
        command.env("KUBECONFIG", self.lab.kubeconfig()).env("PATH", path.unwrap_or_default());
        let output = command.args(["-c", line]).output().await.context(|| format!("run {line}"))?;
        self.screen.output(String::from_utf8_lossy(&output.stdout).trim_end());
        match output.status.success() {
            true => Ok(()),
            false => Err(Error::wrong(String::from_utf8_lossy(&output.stderr).trim_end())),
        }
    }
}
