//! How a watch is followed, whatever it reports.

use std::sync::atomic::{AtomicUsize, Ordering};

use futures::stream;

use super::*;

const SHORT: Duration = Duration::from_millis(1);

fn events(numbers: Vec<u32>) -> Events<u32> {
    stream::iter(numbers.into_iter().map(|number| Ok(Event::Apply(number)))).chain(stream::pending()).boxed()
}

/// A list, and then what the watch answers.
fn listed(then: Option<watcher::Error>) -> Events<u32> {
    let list = [Ok(Event::Init), Ok(Event::InitDone)].into_iter().chain(then.map(Err));
    stream::iter(list).chain(stream::pending()).boxed()
}

#[tokio::test]
async fn a_watch_goes_on_as_it_is_told() {
    let lists = AtomicUsize::new(0);
    let begin = || events(if lists.fetch_add(1, Ordering::SeqCst) == 0 { vec![1, 2, 3] } else { vec![4, 5] });
    let mut seen = Vec::new();
    follow_with(std::iter::repeat(Duration::ZERO), Trial::of(SHORT), begin, |report| {
        let Report::Event(Event::Apply(number)) = report else { return Next::End };
        seen.push(number);
        match number {
            1 => Next::Resume,
            2 => Next::Relist,
            4 => Next::Event,
            _ => Next::End,
        }
    })
    .await;
    assert_eq!((seen, lists.into_inner()), (vec![1, 2, 4, 5], 2));
}

/// A list is permitted, the watch is not, and then it is.
#[tokio::test]
async fn a_watch_that_is_refused_after_each_list_goes_on_once() {
    const REFUSED: usize = 30;
    let lists = AtomicUsize::new(0);
    let begin = || {
        let is_refused = lists.fetch_add(1, Ordering::SeqCst) < REFUSED;
        listed(is_refused.then_some(watcher::Error::NoResourceVersion))
    };
    let (mut errors, mut recoveries) = (0, 0);
    follow_with(std::iter::repeat(Duration::ZERO), Trial::of(SHORT), begin, |report| match report {
        Report::Event(_) => Next::Event,
        Report::Error(_) => {
            errors += 1;
            Next::Relist
        }
        Report::GoesOn => {
            recoveries += 1;
            Next::End
        }
    })
    .await;
    assert_eq!((errors, recoveries), (REFUSED, 1));
}

/// The API server takes its time to refuse: after a few tries the watch is not taken for one that goes on.
#[tokio::test]
async fn a_watch_that_is_refused_late_does_not_seem_to_go_on_each_time() {
    const REFUSED: usize = 30;
    let lists = AtomicUsize::new(0);
    let begin = || {
        let is_over = lists.fetch_add(1, Ordering::SeqCst) == REFUSED;
        let late = stream::once(async {
            tokio::time::sleep(5 * SHORT).await;
            Err(watcher::Error::NoResourceVersion)
        });
        if is_over { stream::empty().boxed() } else { stream::iter([Ok(Event::InitDone)]).chain(late).boxed() }
    };
    let (mut recoveries, mut errors) = (0, 0);
    follow_with(std::iter::repeat(Duration::ZERO), Trial::of(SHORT), begin, |report: Report<u32>| match report {
        Report::Event(_) => Next::Event,
        Report::GoesOn => {
            recoveries += 1;
            Next::Event
        }
        Report::Error(_) => {
            errors += 1;
            if errors == REFUSED { Next::End } else { Next::Relist }
        }
    })
    .await;
    assert!(recoveries < REFUSED / 2, "{recoveries}");
}
