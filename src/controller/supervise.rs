//! Tasks that must not end in silence: one that panics begins anew.
//!
//! A panic is a bug. But a watch that is not followed any more tells of nothing for ever, and a canary without its task is
//! looked at by nobody, while the process looks healthy. What such a task knows can be lost: it looks again.

use std::time::Duration;

/// Before a task begins anew: one that panics at once must not keep all others from their turn.
const PAUSE: Duration = Duration::from_secs(10);

/// Runs what `begin` begins until it ends by itself.
pub fn supervise<F>(what: impl Into<String>, begin: impl Fn() -> F + Send + 'static)
where
    F: Future<Output = ()> + Send + 'static,
{
    let what = what.into();
    tokio::spawn(async move { to_the_end(&what, PAUSE, begin).await });
}

async fn to_the_end<F>(what: &str, pause: Duration, begin: impl Fn() -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    while let Err(error) = tokio::spawn(begin()).await {
        tracing::error!(task = what, %error, "panicked, which is a bug: please report it; the task begins anew");
        tokio::time::sleep(pause).await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };

    use super::*;

    #[tokio::test]
    async fn a_task_that_panics_begins_anew() {
        let tries = Arc::new(AtomicUsize::new(0));
        let counted = tries.clone();
        to_the_end("a test", Duration::ZERO, move || {
            let tries = counted.clone();
            async move { assert!(tries.fetch_add(1, Ordering::SeqCst) == 2, "not yet") }
        })
        .await;
        assert_eq!(tries.load(Ordering::SeqCst), 3);
    }
}
