//! What is done about a Lease as it is.

use super::*;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + seconds).expect("a time")
}

fn taken(bid: Bid) -> Lease {
    match bid {
        Bid::Take(lease) => *lease,
        Bid::Wait(leader) => panic!("waiting for {leader}"),
    }
}

/// By a process that looks at the Lease for the first time.
fn considered(seen: Option<&Lease>, me: &str, led: bool, now: Timestamp) -> Bid {
    consider(seen, me, led, now, Duration::ZERO)
}

fn first() -> Lease {
    taken(considered(None, "a", false, at(0)))
}

fn all_the_time_before() -> Absence {
    Absence { from: Timestamp::UNIX_EPOCH, until: at(0) }
}

#[test]
fn before_the_first_lease_no_controller_is_known_to_have_watched() {
    assert_eq!(absences(&first()), [all_the_time_before()]);
}

#[test]
fn a_leader_watches_even_while_its_lease_is_deleted() {
    assert_eq!(absences(&taken(considered(None, "a", true, at(5)))), []);
}

#[test]
fn a_renewal_adds_no_absence() {
    let renewed = taken(considered(Some(&first()), "a", true, at(5)));
    assert_eq!(absences(&renewed), [all_the_time_before()]);
    assert_eq!(renewed.spec.expect("spec").acquire_time, Some(MicroTime(at(0))));
}

#[test]
fn another_waits_for_the_lease_to_expire() {
    assert_eq!(considered(Some(&first()), "b", false, at(15)), Bid::Wait("a".into()));
    let taken_over = taken(considered(Some(&first()), "b", false, at(16)));
    assert_eq!(absences(&taken_over), [all_the_time_before(), Absence { from: at(0), until: at(16) }]);
}

#[test]
fn a_restart_under_the_same_identity_is_an_absence() {
    let again = taken(considered(Some(&first()), "a", false, at(3)));
    assert_eq!(absences(&again), [all_the_time_before(), Absence { from: at(0), until: at(3) }]);
}

#[test]
fn a_leader_that_could_not_renew_for_too_long_was_absent() {
    let late = taken(considered(Some(&first()), "a", true, at(40)));
    assert_eq!(absences(&late), [all_the_time_before(), Absence { from: at(0), until: at(40) }]);
}

#[test]
fn many_absences_are_merged_to_the_longer_side() {
    let many: Vec<Absence> = (0..40).map(|i| Absence { from: at(i * 10), until: at(i * 10 + 1) }).collect();
    let few = merged(many);
    assert_eq!(few.len(), MOST_ABSENCES);
    assert_eq!(few[0], Absence { from: at(0), until: at(81) });
}

/// A Lease of `a` with this renewal.
fn renewed(time: Option<Timestamp>) -> Lease {
    let mut lease = first();
    lease.spec.get_or_insert_default().renew_time = time.map(MicroTime);
    lease
}

#[test]
fn a_renewal_that_says_nothing_gives_the_holder_fifteen_seconds_of_our_clock() {
    for time in [Some(at(86_400 * 365)), None] {
        let lease = renewed(time);
        let after = |seconds| consider(Some(&lease), "b", false, at(100), Duration::from_secs(seconds));
        assert_eq!(after(0), Bid::Wait("a".into()), "{time:?}");
        assert_eq!(after(15), Bid::Wait("a".into()), "{time:?}");
        let taken_over = taken(after(16));
        let unknown = Absence { from: Timestamp::UNIX_EPOCH, until: at(100) };
        assert_eq!(
            absences(&taken_over),
            [all_the_time_before(), unknown],
            "{time:?}: nobody is known to have watched"
        );
    }
}

#[test]
fn a_leader_goes_on_although_its_renewal_was_tampered_with() {
    for time in [Some(at(86_400)), None] {
        let again = taken(considered(Some(&renewed(time)), "a", true, at(5)));
        assert_eq!(absences(&again), [all_the_time_before()], "{time:?}");
        assert_eq!(again.spec.expect("spec").renew_time, Some(MicroTime(at(5))));
    }
}

#[test]
fn a_lease_is_unchanged_since_it_was_first_seen_like_this() {
    let (mut sight, begun) = (Sight::default(), Instant::now());
    let mut after =
        |lease: &Lease, seconds| sight.unchanged_for(Some(lease), begun + Duration::from_secs(seconds)).as_secs();
    assert_eq!((after(&first(), 0), after(&first(), 10)), (0, 10));
    let (other, mut touched) = (renewed(None), first());
    touched.metadata.resource_version = Some("8".into());
    assert_eq!(after(&touched, 12), 12, "a label is no renewal");
    assert_eq!((after(&other, 14), after(&other, 31)), (0, 17));
}
