//! The directory of a lab's files, which outlives neither the lab nor, for long, a lab that was killed.

use std::{
    env,
    fs::{self, File, Permissions},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use tempfile::TempDir;

use crate::{Context, Error};

const PREFIX: &str = "kanary-lab-";
const LOCK: &str = "lock";

/// A directory for one lab's files; gone when dropped, and swept by the next lab if this process cannot.
#[derive(Debug)]
pub struct Home {
    dir: TempDir,
    _lock: File,
}

impl Home {
    /// Makes one, and removes those whose owner was killed.
    pub fn create() -> Result<Self, Error> {
        let base = env::temp_dir();
        sweep(&base);
        let told = || format!("create a directory in {}", base.display());
        // It holds the keys of the cluster, and socket files that lead into it.
        let mine = Permissions::from_mode(0o700);
        let dir = tempfile::Builder::new().prefix(PREFIX).permissions(mine).tempdir_in(&base).context(told)?;
        // Locked before it has its name, or another lab would find it free and sweep.
        let nameless = dir.path().join("nameless");
        let lock = File::create(&nameless).context(told)?;
        lock.lock().context(told)?;
        fs::rename(nameless, dir.path().join(LOCK)).context(told)?;
        Ok(Self { dir, _lock: lock })
    }

    /// Where it is.
    pub fn path(&self) -> PathBuf {
        self.dir.path().to_owned()
    }

    /// Leaves it for somebody who wants to look; returns where it is.
    pub fn keep(self) -> PathBuf {
        self.dir.keep()
    }

    /// Removes it.
    pub fn remove(self) {
        remove(self.dir.path());
    }
}

/// Removes a directory; a process that the kernel is still ending may write once more.
pub fn remove(dir: &Path) {
    for _ in 0..50 {
        if fs::remove_dir_all(dir).is_ok() {
            return;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// A directory whose lock is free belongs to nobody that lives.
fn sweep(base: &Path) {
    for entry in fs::read_dir(base).into_iter().flatten().flatten() {
        let abandoned = || File::open(entry.path().join(LOCK)).is_ok_and(|lock| lock.try_lock().is_ok());
        if entry.file_name().to_string_lossy().starts_with(PREFIX) && abandoned() {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}
