//! Where the lab keeps what it builds, once per machine, for all checkouts and all labs.

use std::{
    env,
    fs::{self, File},
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

use crate::{Context, Error, progress::Step};

/// The directory, which is created if needed.
pub fn dir() -> Result<PathBuf, Error> {
    let home = || Some(PathBuf::from(env::var_os("HOME")?).join(".cache"));
    let base = env::var_os("XDG_CACHE_HOME").map(PathBuf::from).or_else(home);
    let dir =
        base.ok_or_else(|| Error::Lacking("the lab needs a cache directory: set HOME or XDG_CACHE_HOME".into()))?;
    let dir = dir.join("kanary-lab");
    fs::create_dir_all(&dir).context(|| format!("create {}", dir.display()))?;
    Ok(dir)
}

/// A name for what is built from these files and flags: another hash is another file, so an upgrade never finds a stale
/// binary.
pub fn stem<'a>(files: &[PathBuf], flags: impl IntoIterator<Item = &'a str>) -> Result<String, Error> {
    let mut hash = Sha256::new();
    for file in files {
        hash.update(fs::read(file).context(|| format!("read {}", file.display()))?);
    }
    flags.into_iter().for_each(|flag| hash.update(flag));
    Ok(hash.finalize().iter().take(6).map(|byte| format!("{byte:02x}")).collect())
}

/// Two labs must not build the same tools: the second one waits here, and then finds everything built.
pub fn lock(stem: &str, step: &mut Step) -> Result<File, Error> {
    let path = dir()?.join(format!("{stem}.lock"));
    let what = || format!("lock {}", path.display());
    let file = File::create(&path).context(what)?;
    if file.try_lock().is_err() {
        step.report("waiting for another lab that is building this");
        file.lock().context(what)?;
    }
    Ok(file)
}

/// Moves a complete file to its place.
pub fn keep(from: &Path, to: &Path) -> Result<(), Error> {
    fs::rename(from, to).context(|| format!("keep {}", to.display()))
}
