//! The directory of a lab's files, which is removed with the lab, or by the next lab if this one was killed.

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

/// A directory for one lab's files; removed when dropped, or by the next lab if this process is killed.
#[derive(Debug)]
pub struct Home {
    dir: TempDir,
    _lock: File,
}

impl Home {
    /// Creates one, and removes those of labs that were killed.
    pub fn create() -> Result<Self, Error> {
        let base = env::temp_dir();
        sweep(&base);
        let what = || format!("create a directory in {}", base.display());
        // It contains the keys of the cluster, and socket files that connect to it.
        let owner_only = Permissions::from_mode(0o700);
        let dir = tempfile::Builder::new().prefix(PREFIX).permissions(owner_only).tempdir_in(&base).context(what)?;
        // Locked before it has its name, or another lab would find it unlocked and remove the directory.
        let unnamed = dir.path().join("unnamed");
        let lock = File::create(&unnamed).context(what)?;
        lock.lock().context(what)?;
        fs::rename(unnamed, dir.path().join(LOCK)).context(what)?;
        Ok(Self { dir, _lock: lock })
    }

    /// Where it is.
    pub fn path(&self) -> PathBuf {
        self.dir.path().to_owned()
    }

    /// Keeps it for inspection; returns its path.
    pub fn keep(self) -> PathBuf {
        self.dir.keep()
    }

    /// Removes it.
    pub fn remove(self) {
        remove(self.dir.path());
    }
}

/// Removes a directory, with retries, because a process that is still exiting may write once more.
pub fn remove(dir: &Path) {
    for _ in 0..50 {
        if fs::remove_dir_all(dir).is_ok() {
            return;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Removes directories that no process has locked.
fn sweep(base: &Path) {
    for entry in fs::read_dir(base).into_iter().flatten().flatten() {
        let abandoned = || File::open(entry.path().join(LOCK)).is_ok_and(|lock| lock.try_lock().is_ok());
        if entry.file_name().to_string_lossy().starts_with(PREFIX) && abandoned() {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}
