//! Where the lab keeps what it builds, once per machine, for every checkout and every lab on it.

use std::{
    env,
    fs::{self, File},
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

use crate::{Context, Error, progress::Step};

/// The directory; it exists.
pub fn dir() -> Result<PathBuf, Error> {
    let home = || Some(PathBuf::from(env::var_os("HOME")?).join(".cache"));
    let base = env::var_os("XDG_CACHE_HOME").map(PathBuf::from).or_else(home);
    let dir = base.ok_or_else(|| Error::Lacking("set HOME or XDG_CACHE_HOME: the lab keeps what it builds".into()))?;
    let dir = dir.join("kanary-lab");
    fs::create_dir_all(&dir).context(|| format!("create {}", dir.display()))?;
    Ok(dir)
}

/// A name for what these files and flags make: another hash is another file, so an upgrade never meets a stale binary.
pub fn stem<'a>(files: &[PathBuf], flags: impl IntoIterator<Item = &'a str>) -> Result<String, Error> {
    let mut hash = Sha256::new();
    for file in files {
        hash.update(fs::read(file).context(|| format!("read {}", file.display()))?);
    }
    flags.into_iter().for_each(|flag| hash.update(flag));
    Ok(hash.finalize().iter().take(6).map(|byte| format!("{byte:02x}")).collect())
}

/// Two labs must not build the same: the second waits here, and then finds everything in place.
pub fn lock(stem: &str, step: &mut Step) -> Result<File, Error> {
    let path = dir()?.join(format!("{stem}.lock"));
    let told = || format!("lock {}", path.display());
    let file = File::create(&path).context(told)?;
    if file.try_lock().is_err() {
        step.says("another lab builds this, waiting for it");
        file.lock().context(told)?;
    }
    Ok(file)
}

/// Puts a file that is complete into its place.
pub fn keep(from: &Path, to: &Path) -> Result<(), Error> {
    fs::rename(from, to).context(|| format!("keep {}", to.display()))
}
