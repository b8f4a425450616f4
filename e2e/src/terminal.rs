//! A terminal to run a program in: what a user would see, and the keys that a user would press.

use std::{
    fs::File,
    io::{Read, Write},
    path::Path,
    process::Stdio,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use nix::pty::{Winsize, openpty};
use tokio::{
    process::{Child, Command},
    sync::watch,
};

use crate::{Context, Error};

/// Generous: a machine that is busy with something else must not fail a test.
const PATIENCE: Duration = Duration::from_secs(60);

/// A program in a terminal.
pub struct Terminal {
    child: Child,
    keys: File,
    seen: Arc<Mutex<vt100::Parser>>,
    changes: watch::Receiver<()>,
}

impl Terminal {
    /// Starts a program in a terminal with this many rows and columns, which controls it, Ctrl-C included.
    ///
    /// # Errors
    /// The terminal cannot be opened, or the program does not exist.
    pub fn start(
        program: &Path,
        arguments: &[&str],
        variables: &[(&str, &Path)],
        (rows, columns): (u16, u16),
    ) -> Result<Self, Error> {
        let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        let pty = openpty(&size, None).context(|| "open a terminal".into())?;
        let own = || pty.slave.try_clone().map(Stdio::from).context(|| "open a terminal".into());
        let mut command = Command::new("setsid");
        command.args(["--ctty", "--wait"]).arg(program).args(arguments);
        command.env("TERM", "xterm-256color").env_remove("NO_COLOR").envs(variables.iter().copied());
        command.stdin(own()?).stdout(own()?).stderr(own()?).kill_on_drop(true);
        let child = command.spawn().context(|| format!("start {}", program.display()))?;
        let screen = File::from(pty.master);
        let keys = screen.try_clone().context(|| "open a terminal".into())?;
        let seen = Arc::new(Mutex::new(vt100::Parser::new(rows, columns, 0)));
        let (changed, changes) = watch::channel(());
        let shown = seen.clone();
        std::thread::spawn(move || read(screen, &shown, &changed));
        Ok(Self { child, keys, seen, changes })
    }

    /// What is on the screen.
    pub fn screen(&self) -> String {
        self.with(|screen| screen.contents())
    }

    /// Has the program taken the whole screen, or hidden the cursor?
    pub fn is_taken(&self) -> bool {
        self.with(|screen| screen.alternate_screen() || screen.hide_cursor())
    }

    /// Is any cell on the screen coloured?
    pub fn is_coloured(&self) -> bool {
        let plain = vt100::Color::Default;
        self.with(|screen| {
            let (rows, columns) = screen.size();
            let mut cells = (0..rows).flat_map(|row| (0..columns).filter_map(move |column| screen.cell(row, column)));
            cells.any(|cell| cell.fgcolor() != plain || cell.bgcolor() != plain)
        })
    }

    /// Waits until the screen is as it should be.
    ///
    /// # Errors
    /// It is not in time; the error has the screen.
    pub async fn until(&mut self, awaited: &str, met: impl Fn(&str) -> bool) -> Result<String, Error> {
        let wait = async {
            loop {
                let screen = self.with(|screen| screen.contents());
                if met(&screen) || self.changes.changed().await.is_err() {
                    return screen;
                }
            }
        };
        let screen = tokio::time::timeout(PATIENCE, wait).await.unwrap_or_else(|_| self.screen());
        if met(&screen) {
            Ok(screen)
        } else {
            Err(Error::wrong(format!("the screen does not show {awaited}; it shows:\n{screen}")))
        }
    }

    /// Presses keys.
    ///
    /// # Errors
    /// The terminal is closed.
    pub fn press(&mut self, keys: &str) -> Result<(), Error> {
        self.keys.write_all(keys.as_bytes()).context(|| format!("press {keys:?}"))
    }

    /// Waits for the program to exit; returns its exit code.
    ///
    /// # Errors
    /// It does not exit.
    pub async fn ends(&mut self) -> Result<Option<i32>, Error> {
        let ended = tokio::time::timeout(PATIENCE, self.child.wait()).await;
        let ended = ended
            .map_err(|_| Error::wrong(format!("the program has not exited; the screen shows:\n{}", self.screen())))?;
        // What it wrote last may be shown after it has exited.
        while self.changes.changed().await.is_ok() {}
        Ok(ended.context(|| "wait for the program to exit".into())?.code())
    }

    fn with<T>(&self, read: impl FnOnce(&vt100::Screen) -> T) -> T {
        read(self.seen.lock().unwrap_or_else(PoisonError::into_inner).screen())
    }
}

/// Reads until the other end is closed.
fn read(mut screen: File, shown: &Mutex<vt100::Parser>, changed: &watch::Sender<()>) {
    let mut bytes = [0; 4096];
    while let Ok(count @ 1..) = screen.read(&mut bytes) {
        shown.lock().unwrap_or_else(PoisonError::into_inner).process(&bytes[..count]);
        changed.send_replace(());
    }
}
