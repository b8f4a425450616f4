//! Builds the programs of one Go module into the cache, once per machine.
//!
//! One module for all of them: kwok and etcd then share most of what they depend on with Kubernetes, and it is compiled once.

use std::env;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use sha2::{Digest, Sha256};

use crate::progress::{Progress, Step};
use crate::tools::Tool;
use crate::{Context, Error};

/// Inlining costs a third of the build and is worth a fifth at run time; the linker drops debug information anyway.
const COMPILE: &str = "all=-l -dwarf=false";

/// Programs with one go.mod.
#[derive(Debug)]
pub struct Module {
    /// Where go.mod is.
    pub dir: PathBuf,
    /// Flags for the linker.
    pub link: &'static str,
    /// What to build, and from which package.
    pub binaries: Vec<(Tool, &'static str)>,
}

impl Module {
    /// Those of its programs that were built before.
    pub fn cached(&self) -> Result<Vec<(Tool, PathBuf)>, Error> {
        let (cache, stem) = (cache()?, self.stem()?);
        let files = self.binaries.iter().map(|(tool, _)| (*tool, cache.join(format!("{}-{stem}", tool.name()))));
        Ok(files.filter(|(_, file)| file.is_file()).collect())
    }

    /// Builds those that were not, and returns all.
    pub fn build(&self, progress: &Progress) -> Result<Vec<(Tool, PathBuf)>, Error> {
        let (cache, stem) = (cache()?, self.stem()?);
        let mut step = progress.step("the Kubernetes control plane");
        // Two labs must not build the same: the second waits here, and then finds everything in place.
        let _lock = lock(&cache.join(format!("{stem}.lock")), &mut step)?;
        let there = self.cached()?;
        let missing = |tool: Tool| !there.iter().any(|(other, _)| *other == tool);
        let missing: Vec<_> = self.binaries.iter().copied().filter(|(tool, _)| missing(*tool)).collect();
        if !missing.is_empty() {
            let fresh = tempfile::tempdir_in(&cache).context(|| format!("write to {}", cache.display()))?;
            self.compile(&missing, fresh.path(), &mut step)?;
            for (tool, package) in missing {
                let (from, to) =
                    (fresh.path().join(executable(package)), cache.join(format!("{}-{stem}", tool.name())));
                fs::rename(from, to).context(|| format!("keep {}", tool.name()))?;
            }
        }
        step.done();
        self.cached()
    }

    /// One `go build` for all programs: they share most packages, and their links run beside each other.
    fn compile(&self, wanted: &[(Tool, &'static str)], out: &Path, step: &mut Step) -> Result<(), Error> {
        let packages = wanted.iter().map(|(_, package)| *package);
        // Downloads what is needed, and says how much there is to compile.
        let list = out.join("packages");
        let into = File::create(&list).context(|| format!("create {}", list.display()))?;
        run(go(&self.dir).args(["list", "-deps"]).args(packages.clone()).stdout(into), |line| {
            step.says(line.trim_start_matches("go: "));
        })?;
        let all = fs::read_to_string(&list).unwrap_or_default().lines().count();
        let mut build = go(&self.dir);
        build.args(["build", "-v", "-trimpath"]).arg(format!("-gcflags={COMPILE}"));
        build.arg(format!("-ldflags=-s -w {}", self.link)).arg("-o").arg(out.join("")).args(packages);
        let mut compiled = 0;
        run(&mut build, |_| {
            compiled += 1;
            step.counts(compiled, all);
        })
    }

    /// Go is there, and new enough or able to fetch what is.
    pub fn check_go(&self) -> Result<(), Error> {
        let wanted = go_directive(&self.dir);
        let lacking = |why: &str| {
            Error::Lacking(format!(
                "the lab builds the Kubernetes control plane from source and needs Go {wanted} or later: \
                 install it from https://go.dev/dl ({why})"
            ))
        };
        match go(&self.dir).arg("version").output() {
            Ok(output) if output.status.success() => Ok(()),
            Ok(output) => Err(lacking(String::from_utf8_lossy(&output.stderr).trim())),
            Err(error) => Err(lacking(&format!("go: {error}"))),
        }
    }

    /// What the binaries depend on: another hash is another file, so an upgrade never meets a stale binary.
    fn stem(&self) -> Result<String, Error> {
        let mut hash = Sha256::new();
        for file in ["go.mod", "go.sum"] {
            let path = self.dir.join(file);
            hash.update(fs::read(&path).context(|| format!("read {}", path.display()))?);
        }
        hash.update(COMPILE);
        hash.update(self.link);
        Ok(hash.finalize().iter().take(6).map(|byte| format!("{byte:02x}")).collect())
    }
}

/// Runs a `go` command to its end, line by line of what it says; the error has what it said and was not progress.
fn run(command: &mut Command, mut progress: impl FnMut(&str)) -> Result<(), Error> {
    let mut child = command.stderr(Stdio::piped()).spawn().context(|| "start go".into())?;
    let mut said = String::new();
    let lines = child.stderr.take().map(|stderr| BufReader::new(stderr).lines().map_while(Result::ok));
    for line in lines.into_iter().flatten() {
        // A package, or a download; all else is a complaint.
        if line.starts_with("go: downloading ") || !line.contains([' ', '#', ':']) {
            progress(&line);
        } else {
            said.push_str(&line);
            said.push('\n');
        }
    }
    match child.wait().context(|| "wait for go".into())?.success() {
        true => Ok(()),
        false => Err(Error::wrong(format!("the control plane could not be built; go said:\n{said}"))),
    }
}

fn go_directive(dir: &Path) -> String {
    let text = fs::read_to_string(dir.join("go.mod")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("go "));
    line.unwrap_or("1.26").into()
}

fn go(dir: &Path) -> Command {
    let mut command = Command::new("go");
    // The compiler's own collector costs a tenth of the build; no C compiler is needed.
    command.current_dir(dir).env("GOWORK", "off").env("CGO_ENABLED", "0").stdin(Stdio::null());
    if env::var_os("GOGC").is_none() {
        command.env("GOGC", "off").env("GOMEMLIMIT", "1GiB");
    }
    command
}

/// What `go build -o DIR/` calls the program of a package: the end of its path, but not a major version.
fn executable(package: &str) -> &str {
    let mut parts = package.rsplit('/');
    let version = |part: &str| part.strip_prefix('v').is_some_and(|number| number.parse::<u32>().is_ok());
    parts.find(|part| !version(part)).unwrap_or(package)
}

fn cache() -> Result<PathBuf, Error> {
    let home = || Some(PathBuf::from(env::var_os("HOME")?).join(".cache"));
    let base = env::var_os("XDG_CACHE_HOME").map(PathBuf::from).or_else(home);
    let dir = base.ok_or_else(|| Error::Lacking("set HOME or XDG_CACHE_HOME: the lab keeps what it builds".into()))?;
    let dir = dir.join("kanary-lab");
    fs::create_dir_all(&dir).context(|| format!("create {}", dir.display()))?;
    Ok(dir)
}

fn lock(path: &Path, step: &mut Step) -> Result<File, Error> {
    let told = || format!("lock {}", path.display());
    let file = File::create(path).context(told)?;
    if file.try_lock().is_err() {
        step.says("another lab builds this, waiting for it");
        file.lock().context(told)?;
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::executable;

    #[test]
    fn a_major_version_names_no_program() {
        assert_eq!(executable("go.etcd.io/etcd/server/v3"), "server");
        assert_eq!(executable("k8s.io/kubernetes/cmd/kubectl"), "kubectl");
        assert_eq!(executable("example.org/vim"), "vim");
    }
}
