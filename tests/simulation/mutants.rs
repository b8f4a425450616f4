//! Each mistake is caught, by the law that forbids it, within a modest number of histories.

use crate::{history, history::Failure, mutant::Mutant};

const WITHIN: u64 = 20_000;

/// A mistake may break several laws; the one that forbids it must be among them.
fn is_caught(mutant: Mutant, law: &str) {
    // Other seeds than those of the main run: what is rare there must not be rare here by accident.
    for number in 1..=WITHIN {
        let Err(Failure { violation, .. }) = history::run(1_000_000 + number, mutant, false) else { continue };
        if violation.law == law {
            println!("{mutant:?} is caught after {number} histories by {law}: {}", violation.how);
            return;
        }
    }
    panic!("nobody notices {mutant:?}");
}

macro_rules! mutants {
    ($($name:ident: $mutant:ident breaks $law:literal;)*) => {
        $(#[test]
        fn $name() {
            is_caught(Mutant::$mutant, $law);
        })*
    };
}

mutants! {
    a_base_that_changed_is_not_overwritten: BlindToTheBase breaks "I1";
    a_promotion_is_guarded: Unguarded breaks "I1";
    the_verdict_is_persisted_first: ActsBeforeItTells breaks "I1";
    the_base_is_written_once: PromotesTwice breaks "I1";
    a_deleted_base_stays_deleted: RecreatesTheBase breaks "I1";
    no_evidence_is_no_success: BelievesUnknown breaks "I3";
    an_old_verdict_is_none: BelievesOldWords breaks "a word is for one run";
    absences_do_not_count: IgnoresAbsences breaks "I3";
    absences_are_kept: ForgetsAbsences breaks "I3";
    time_without_a_canary_does_not_count: IgnoresHolds breaks "I3";
    pods_are_born_outside_production: LeavesLabelsIn breaks "I2";
    pods_leave_production_when_a_run_fails: KeepsPodsIn breaks "leave first";
    pods_follow_the_source: ForgetsToMovePods breaks "I2";
    an_edited_canary_proves_nothing: IgnoresEdits breaks "I3";
    pods_leave_before_they_are_deleted: DeletesTooEarly breaks "leave first";
    the_canary_stays_for_the_rollout: CleansUpAtOnce breaks "cleanup";
    no_child_is_forgotten: ForgetsAChild breaks "I4";
    what_is_not_ours_is_left_alone: TakesWhatIsThere breaks "I4";
    own_writes_are_seen: ForgetsItsWrites breaks "I4";
    silence_is_kept: NeverSilent breaks "I5";
    stragglers_are_removed: ForgetsStragglers breaks "I4";
    the_mirror_goes_when_a_run_fails: KeepsTheMirror breaks "finalizer last";
    what_others_route_stays: ReplacesTheRoutes breaks "I4";
    a_route_is_written_as_observed: UnguardedRoutes breaks "I4";
    the_finalizer_comes_first: ForgetsTheFinalizer breaks "finalizer first";
    the_finalizer_goes_last: TrustsItsMemory breaks "finalizer last";
    no_answer_is_no_success: BelievesDoubts breaks "I3";
    a_false_answer_counts_once: CountsTwice breaks "failureLimit";
    time_without_answers_does_not_count: RunsWithoutAnswers breaks "I3";
    the_last_answer_is_of_the_end: BelievesOldAnswers breaks "I3";
    what_failed_is_remembered: ForgetsFaults breaks "faults are remembered";
    what_fails_again_backs_off: NeverBacksOff breaks "failures back off";
    no_service_loses_its_pods: ForgetsWhatServicesSelect breaks "a Service keeps its pods";
    pods_get_only_their_own_labels: LabelsAsServicesLike breaks "only its labels";
    a_status_speaks_of_what_was_written: ReportsBeforeItActs breaks "writes come before the status";
    no_result_is_lost: LosesResults breaks "I5";
    what_lost_its_owner_reference_is_taken_back: DisownsItsOwn breaks "I4";
    nothing_is_created_from_memory: CreatesFromMemory breaks "what is there is not created";
}
