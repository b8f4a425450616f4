//! What a store keeps of events, lists and replies that come in any order.

use super::*;
use crate::objects::Pod;

fn pod(name: &str, uid: &str, version: u64) -> Pod {
    serde_json::from_value(serde_json::json!({
        "metadata": {"namespace": "ns", "name": name, "uid": uid, "resourceVersion": version.to_string()}
    }))
    .expect("a pod")
}

fn version_of(store: &Store<Pod>, name: &str) -> Option<String> {
    store.get("ns", name).map(|pod| pod.version().to_owned())
}

#[test]
fn an_older_event_does_not_undo_our_write() {
    let store = Store::default();
    store.put(pod("a", "1", 7));
    assert!(store.apply(Event::Apply(pod("a", "1", 5))).is_empty());
    assert_eq!(version_of(&store, "a").as_deref(), Some("7"));
    store.apply(Event::Apply(pod("a", "1", 8)));
    assert_eq!(version_of(&store, "a").as_deref(), Some("8"));
}

#[test]
fn what_only_has_a_new_version_is_kept_and_wakes_no_task() {
    let store = Store::default();
    store.apply(Event::Apply(pod("a", "1", 5)));
    assert!(store.apply(Event::Apply(pod("a", "1", 6))).is_empty());
    assert_eq!(version_of(&store, "a").as_deref(), Some("6"), "the next write is guarded by it");
    let mut labelled = pod("a", "1", 7);
    labelled.metadata.labels = Some([("bad".to_owned(), "yes".to_owned())].into());
    assert_eq!(store.apply(Event::Apply(labelled)).len(), 1);
    assert_eq!(store.apply(Event::Apply(pod("a", "2", 8))).len(), 1, "a successor is another object");
}

#[test]
fn the_late_delete_of_a_predecessor_spares_its_successor() {
    let store = Store::default();
    store.put(pod("a", "2", 9));
    store.apply(Event::Delete(pod("a", "1", 8)));
    assert!(store.get("ns", "a").is_some());
}

#[test]
fn a_list_removes_what_is_gone_and_keeps_what_was_written_since() {
    let store = Store::default();
    store.apply(Event::Apply(pod("gone", "1", 9)));
    store.apply(Event::Init);
    store.apply(Event::InitApply(pod("a", "2", 5)));
    store.put(pod("new", "3", 11));
    let touched = store.apply(Event::InitDone);
    assert_eq!(touched.iter().map(|pod| pod.name()).collect::<Vec<_>>(), ["gone", "a"]);
    assert!(store.get("ns", "gone").is_none() && store.get("ns", "new").is_some() && store.is_synced());
    assert!(store.put(pod("gone", "1", 10)).is_none(), "a late reply does not bring it back");
}

#[test]
fn an_empty_list_leaves_nothing() {
    let store = Store::default();
    store.apply(Event::Apply(pod("gone", "1", 9)));
    store.apply(Event::Init);
    assert_eq!(store.apply(Event::InitDone).len(), 1, "those that it concerns are woken");
    assert!(store.all_in("ns").is_empty());
}

#[test]
fn a_list_does_not_undo_what_was_written_while_it_was_made() {
    let store = Store::default();
    store.apply(Event::Init);
    store.put(pod("a", "1", 7));
    store.apply(Event::InitApply(pod("a", "1", 5)));
    store.apply(Event::InitDone);
    assert_eq!(version_of(&store, "a").as_deref(), Some("7"));
}

#[test]
fn a_reply_that_comes_after_the_deletion_restores_nothing() {
    let store = Store::default();
    store.put(pod("a", "1", 7));
    store.apply(Event::Delete(pod("a", "1", 9)));
    assert!(store.put(pod("a", "1", 8)).is_none());
    assert!(store.get("ns", "a").is_none());
    assert_eq!(store.apply(Event::Apply(pod("a", "1", 9))).len(), 1, "but a watch does, if it gets its label back");
    assert!(store.put(pod("a", "2", 10)).is_some(), "and a successor is another object");
}

#[test]
fn a_broken_watch_is_repaired_by_a_full_list_and_a_watch_that_goes_on() {
    let at = |second| Timestamp::from_second(second).expect("a time");
    let store = Store::default();
    store.lose(at(1));
    store.lose(at(2));
    store.apply(Event::Init);
    store.apply(Event::InitApply(pod("a", "1", 5)));
    assert_eq!(store.lost_since(), Some(at(1)), "it is lost since it first broke");
    assert!(!store.regain(|_| panic!("without a full list it is stale")));
    store.apply(Event::InitDone);
    assert_eq!(store.lost_since(), Some(at(1)), "to list is not to watch");
    let mut since = None;
    assert!(store.regain(|lost| since = Some(lost)));
    assert_eq!((since, store.lost_since()), (Some(at(1)), None));
}

#[test]
fn nothing_is_kept_of_namespaces_that_are_empty() {
    let store = Store::default();
    for nth in 0..2 * MOST_GONE {
        let pod = pod("a", &nth.to_string(), nth as u64);
        store.put(pod.clone());
        store.forget(&pod);
    }
    let contents = store.lock();
    assert!(contents.objects.is_empty());
    assert_eq!(contents.gone.len(), MOST_GONE);
}
