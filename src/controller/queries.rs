//! Sends Prometheus queries that are due, in the background, and shows the values that items are evaluated on.

use jiff::Timestamp;
use tracing::Instrument;

use super::{
    key::Key,
    metrics::Metrics,
    store::Store,
    task_state::{Task, TaskState},
};
use crate::{
    api::{KanaryDeployment, Phase},
    lifecycle::driver::Driver,
    objects::Object,
    promql::{ClockMark, Outcome, Query},
    validation::promql::mirror_check,
};

/// Sends these, and does not wait: each answer wakes the task when it comes.
pub fn send_all(task: &Task, state: &TaskState, kanary: &KanaryDeployment, queries: Vec<Query>) {
    let run = kanary.status.as_ref().and_then(|status| status.run);
    for query in queries {
        let since = state.sendable_since(query.due);
        let answered = send(task.clone(), state, kanary.uid().to_owned(), query, since);
        tokio::spawn(answered.instrument(task.key.span(run)));
    }
}

/// Sends one query, and records its answer.
fn send(
    task: Task,
    state: &TaskState,
    uid: String,
    query: Query,
    since: Timestamp,
) -> impl Future<Output = ()> + Send + 'static {
    let answers = state.answers.clone();
    async move {
        let context = &task.context;
        let (at, outcome) = context.prometheus.query(&task.key.namespace, &query).await;
        tracing::debug!(item = query.item, outcome = outcome.as_str(), "query answered");
        context.metrics.query_lagged(since.duration_until(at));
        show(&context.metrics, &context.stores.kanaries, (&task.key, &uid), &query.item, &outcome);
        let sent = ClockMark { at, held: query.held };
        answers.lock().push((query, sent, outcome));
        task.signal.notify_one();
    }
}

/// Drops the answers of items that are gone, and the values of all that are not evaluated any more.
pub fn forget_old(task: &Task, driver: &mut Driver, kanary: &KanaryDeployment) {
    let items = kanary.spec.validation.named_items();
    let is_item = |name: &str| name == mirror_check::NAME || items.iter().any(|(item, _)| item == name);
    let is_evaluated = kanary.status.as_ref().is_some_and(|status| status.phase == Some(Phase::Validating));
    let names = driver.history().keys().map(String::as_str);
    task.context.metrics.forget(&task.key, names.filter(|name| !(is_evaluated && is_item(name))));
    driver.forget_items(is_item);
}

/// Shows the value that an item is evaluated on. An answer may come after its resource is gone and its task has ended; then
/// no task would remove the value.
fn show(metrics: &Metrics, kanaries: &Store<KanaryDeployment>, of: (&Key, &str), item: &str, outcome: &Outcome) {
    let (key, uid) = of;
    metrics.item_evaluated(key, item, outcome);
    // Not before it is shown: the task could end in between.
    if kanaries.get(&key.namespace, &key.name).is_none_or(|kanary| kanary.uid() != uid) {
        metrics.forget(key, [item]);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::promql::Evidence;

    fn kanary(uid: &str) -> KanaryDeployment {
        let metadata = json!({"namespace": "shop", "name": "try", "uid": uid, "resourceVersion": "1"});
        serde_json::from_value(json!({
            "apiVersion": "kanary.k8s.io/v1alpha1", "kind": "KanaryDeployment", "metadata": metadata,
            "spec": {"template": {"spec": {"template": {"spec": {}}}}},
        }))
        .expect("a KanaryDeployment")
    }

    #[test]
    fn an_answer_that_comes_too_late_shows_no_value() {
        let (metrics, kanaries) = (Metrics::new(), Store::default());
        let key = Key::new("shop", "try");
        let outcome = Outcome::True(Evidence { value: "1".into(), ..Evidence::default() });
        let shows = || {
            show(&metrics, &kanaries, (&key, "1"), "errors", &outcome);
            metrics.text(true, false, &[]).contains("kanary_item_value{")
        };
        kanaries.put(kanary("1"));
        assert!(shows());
        kanaries.forget(&kanary("1"));
        assert!(!shows(), "it is gone");
        kanaries.put(kanary("2"));
        assert!(!shows(), "another one has its name");
    }
}
