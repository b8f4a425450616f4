//! What a person types to decide.

use std::io;

use nix::sys::termios::{FlushArg, tcflush};
use tokio::sync::mpsc;

/// What can be typed.
pub const HINT: &str = "Enter or `valid` approves, `invalid` rejects";

/// A decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    Approve,
    Reject,
}

impl Decision {
    /// None = the line says neither.
    pub fn read(line: &str) -> Option<Self> {
        match line.trim().to_lowercase().as_str() {
            "" | "valid" | "approve" => Some(Self::Approve),
            "invalid" | "reject" => Some(Self::Reject),
            _ => None,
        }
    }
}

/// The lines that are typed from now on. A thread of its own, because a blocking read cannot be cancelled.
pub fn lines() -> mpsc::UnboundedReceiver<String> {
    let (sender, receiver) = mpsc::unbounded_channel();
    // Enter was perhaps pressed before there was anything to decide. There is nothing to discard unless it is a terminal.
    let _ = tcflush(io::stdin(), FlushArg::TCIFLUSH);
    std::thread::spawn(move || {
        for line in io::stdin().lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}

#[cfg(test)]
mod tests {
    use super::Decision::{self, Approve, Reject};

    #[test]
    fn invalid_rejects_and_nothing_else_is_guessed() {
        for (line, decision) in [
            ("", Some(Approve)),
            ("valid\n", Some(Approve)),
            (" approve ", Some(Approve)),
            ("invalid", Some(Reject)),
            ("INVALID\r", Some(Reject)),
            ("reject", Some(Reject)),
            ("no", None),
            ("in valid", None),
            ("q", None),
        ] {
            assert_eq!(Decision::read(line), decision, "{line:?}");
        }
    }
}
