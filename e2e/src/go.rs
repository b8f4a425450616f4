//! Builds the programs of a Go module into the cache, once per machine, and keeps YAML files that modules contain.
//!
//! Programs share a module where they can: kwok and etcd have most dependencies in common with Kubernetes, which are
//! then compiled once. Istio and Prometheus need other versions, so each has a module of its own.

use std::{
    env,
    fs::{self, File},
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::{
    Context, Error, cache, job,
    job::Scratch,
    manifests,
    progress::{Progress, Step},
    tool::Tool,
};

/// Inlining costs a third of the build and is worth a fifth at run time; the linker drops debug information anyway.
const COMPILE: &str = "all=-l -dwarf=false";

/// Tools with one go.mod.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Module {
    /// Its directory in `tools/`.
    pub name: &'static str,
    /// What it builds, for messages.
    pub makes: &'static str,
    /// Build tags.
    pub tags: &'static str,
    /// Flags for the linker.
    pub link: &'static str,
}

/// What a tool consists of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// A program, by its Go package.
    Program(&'static str),
    /// YAML of another Go module that this one depends on: a file, or all files of a directory.
    Yaml {
        /// The other module.
        module: &'static str,
        /// The path in it.
        path: &'static str,
    },
}

/// Some of a module's tools, to be built.
#[derive(Debug)]
pub struct Build {
    module: &'static Module,
    stem: String,
    wanted: Vec<(Tool, Part)>,
}

impl Build {
    /// A build of these tools of that module.
    pub fn of(module: &'static Module, wanted: Vec<(Tool, Part)>) -> Result<Self, Error> {
        let files = ["go.mod", "go.sum"].map(|file| module.dir().join(file));
        let stem = cache::stem(&files, [COMPILE, module.tags, module.link])?;
        Ok(Self { module, stem, wanted })
    }

    /// Those of its tools that were built before.
    pub fn cached(&self) -> Result<Vec<(Tool, PathBuf)>, Error> {
        let dir = cache::dir()?;
        let files = self.wanted.iter().map(|(tool, part)| (*tool, self.place(&dir, *tool, *part)));
        Ok(files.filter(|(_, file)| file.is_file()).collect())
    }

    /// Is there anything left to build?
    pub fn is_done(&self) -> Result<bool, Error> {
        Ok(self.cached()?.len() == self.wanted.len())
    }

    /// Checks that Go is installed, and new enough or able to fetch a newer one.
    pub fn check_go(&self) -> Result<(), Error> {
        let (wanted, makes) = (go_directive(&self.module.dir()), self.module.makes);
        let lacking = |why: &str| {
            Error::Lacking(format!(
                "the lab builds {makes} from source and needs Go {wanted} or later: \
                 install it from https://go.dev/dl ({why})"
            ))
        };
        match self.module.go().arg("version").output() {
            Ok(output) if output.status.success() => Ok(()),
            Ok(output) => Err(lacking(String::from_utf8_lossy(&output.stderr).trim())),
            Err(error) => Err(lacking(&format!("go: {error}"))),
        }
    }

    /// Builds those that are missing, and returns all.
    pub fn carry_out(&self, progress: &Progress) -> Result<Vec<(Tool, PathBuf)>, Error> {
        let dir = cache::dir()?;
        let mut step = progress.step(self.module.makes);
        let _lock = cache::lock(&self.stem, &mut step)?;
        let there = self.cached()?;
        let missing = |tool: Tool| !there.iter().any(|(other, _)| *other == tool);
        let missing: Vec<_> = self.wanted.iter().copied().filter(|(tool, _)| missing(*tool)).collect();
        let fresh = Scratch::within(&dir)?;
        self.compile(&missing, fresh.path(), &mut step)?;
        for (tool, part) in missing {
            let from = match part {
                Part::Program(package) => fresh.path().join(executable(package)),
                Part::Yaml { module, path } => self.gather(module, path, fresh.path())?,
            };
            cache::keep(&from, &self.place(&dir, tool, part))?;
        }
        step.done();
        self.cached()
    }

    fn place(&self, dir: &Path, tool: Tool, part: Part) -> PathBuf {
        match part {
            Part::Program(_) => dir.join(format!("{}-{}", tool.name(), self.stem)),
            Part::Yaml { path, .. } => dir.join(format!("{}-{}", self.stem, path.replace('/', "-"))),
        }
    }

    /// One `go build` for all programs: they share most packages, and they are linked in parallel.
    fn compile(&self, wanted: &[(Tool, Part)], out: &Path, step: &mut Step) -> Result<(), Error> {
        let programs = wanted.iter().filter_map(|(_, part)| match part {
            Part::Program(package) => Some(*package),
            Part::Yaml { .. } => None,
        });
        if programs.clone().next().is_none() {
            return Ok(());
        }
        // Downloads the dependencies, and counts the packages to compile.
        let list = out.join("packages");
        let into = File::create(&list).context(|| format!("create {}", list.display()))?;
        let (tags, module) = (format!("-tags={}", self.module.tags), self.module);
        run(module, module.go().args(["list", "-deps"]).arg(&tags).args(programs.clone()).stdout(into), |line| {
            step.report(line.trim_start_matches("go: "));
        })?;
        let all = fs::read_to_string(&list).unwrap_or_default().lines().count();
        let mut build = module.go();
        // The compiler's temporary files: a build that is stopped may leave them.
        build.env("GOTMPDIR", out);
        build.args(["build", "-v", "-trimpath"]).arg(tags).arg(format!("-gcflags={COMPILE}"));
        build.arg(format!("-ldflags=-s -w {}", module.link)).arg("-o").arg(out.join("")).args(programs);
        let mut compiled = 0;
        run(module, &mut build, |_| {
            compiled += 1;
            step.count(compiled, all);
        })
    }

    /// One YAML file with what a Go module contains; it is kept, because the module may be removed from Go's cache.
    fn gather(&self, module: &str, path: &str, out: &Path) -> Result<PathBuf, Error> {
        let mut download = self.module.go();
        run(self.module, download.args(["mod", "download", module]), |_| {})?;
        let what = || format!("find the Go module {module}");
        let listed = self.module.go().args(["list", "-m", "-f", "{{.Dir}}", module]).output().context(what)?;
        let at = Path::new(String::from_utf8_lossy(&listed.stdout).trim()).join(path);
        let files = if at.is_dir() { manifests::files(&at)? } else { vec![at] };
        let texts = files.iter().map(|file| fs::read_to_string(file).context(|| format!("read {}", file.display())));
        let all = texts.collect::<Result<Vec<_>, _>>()?.join("\n---\n");
        let file = out.join(path.replace('/', "-"));
        fs::write(&file, all).context(|| format!("write {}", file.display()))?;
        Ok(file)
    }
}

impl Module {
    fn dir(&self) -> PathBuf {
        manifests::repository().join("e2e/tools").join(self.name)
    }

    fn go(&self) -> Command {
        let mut command = Command::new("go");
        // Garbage collection in the compiler takes a tenth of the build's time. No C compiler is needed.
        command.current_dir(self.dir()).env("GOWORK", "off").env("CGO_ENABLED", "0").stdin(Stdio::null());
        if env::var_os("GOGC").is_none() {
            command.env("GOGC", "off").env("GOMEMLIMIT", "1GiB");
        }
        command
    }
}

/// Runs a `go` command to its end and reports its progress line by line; the error has everything else that it printed.
fn run(module: &Module, command: &mut Command, mut progress: impl FnMut(&str)) -> Result<(), Error> {
    let mut go = job::start(command.stderr(Stdio::piped()), || "start go".into())?;
    let mut errors = String::new();
    let lines = go.child.stderr.take().map(|stderr| BufReader::new(stderr).lines().map_while(Result::ok));
    for line in lines.into_iter().flatten() {
        // A package, or a download; everything else is an error.
        if line.starts_with("go: downloading ") || !line.contains([' ', '#', ':']) {
            progress(&line);
        } else {
            errors.push_str(&line);
            errors.push('\n');
        }
    }
    match go.wait(|| "wait for go".into())?.success() {
        true => Ok(()),
        false => Err(Error::wrong(format!("cannot build {}; go printed:\n{errors}", module.makes))),
    }
}

fn go_directive(dir: &Path) -> String {
    let text = fs::read_to_string(dir.join("go.mod")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("go "));
    line.unwrap_or("1.26").into()
}

/// What `go build -o DIR/` calls the program of a package: the end of its path, but not a major version.
fn executable(package: &str) -> &str {
    let mut parts = package.rsplit('/');
    let version = |part: &str| part.strip_prefix('v').is_some_and(|number| number.parse::<u32>().is_ok());
    parts.find(|part| !version(part)).unwrap_or(package)
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
