//! Tasks that must not end silently: one that panics is started again.
//!
//! A panic is a bug. But without its watch a kind would not be observed any more, and without its task a canary would not be
//! reconciled any more, while the process appears healthy. What such a task knows can be lost: it observes again.

use std::time::Duration;

/// The pause before a task is started again: one that panics at once must not use up the time of all others.
const PAUSE: Duration = Duration::from_secs(10);

/// Runs what `begin` returns until it ends by itself.
pub fn supervise<F>(what: impl Into<String>, begin: impl Fn() -> F + Send + 'static)
where
    F: Future<Output = ()> + Send + 'static,
{
    let what = what.into();
    tokio::spawn(async move { until_it_ends(&what, PAUSE, begin).await });
}

async fn until_it_ends<F>(what: &str, pause: Duration, begin: impl Fn() -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    while let Err(error) = tokio::spawn(begin()).await {
        tracing::error!(task = what, %error, "the task panicked, which is a bug: please report it; starting it again");
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
    async fn a_task_that_panics_is_started_again() {
        let tries = Arc::new(AtomicUsize::new(0));
        let counted = tries.clone();
        until_it_ends("a test", Duration::ZERO, move || {
            let tries = counted.clone();
            async move { assert!(tries.fetch_add(1, Ordering::SeqCst) == 2, "not yet") }
        })
        .await;
        assert_eq!(tries.load(Ordering::SeqCst), 3);
    }
}
