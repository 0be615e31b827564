//! Contract suites: what every implementation of a port must do, one test a case.
//!
//! ```ignore
//! maof_testkit::journal_contract!(async { (Arc::new(MemoryStore::default()) as Arc<dyn Journal>, ()) });
//! ```
//!
//! The expression gives a fresh store, and whatever must live as long as it (a temporary folder); or an `Option` of
//! them, none where the store needs a service that is not there.

pub mod audit;
pub mod cache;
pub mod journal;
pub mod ledger;
pub mod shared_ledger;
pub mod snapshots;
pub mod spending;
pub mod windows;

/// A store that is to be tested, and what must live as long as it.
pub trait Made<S, K> {
    /// None where it cannot be tested here.
    fn made(self) -> Option<(S, K)>;
}

impl<S, K> Made<S, K> for (S, K) {
    fn made(self) -> Option<(S, K)> {
        Some(self)
    }
}

impl<S, K> Made<S, K> for Option<(S, K)> {
    fn made(self) -> Option<(S, K)> {
        self
    }
}

/// One test for each case of the suite named, over what the expression makes.
#[macro_export]
macro_rules! contract {
    ($suite:ident, $make:expr, [$($case:ident),+ $(,)?]) => {
        $(
            #[tokio::test(flavor = "multi_thread")]
            async fn $case() {
                let Some((store, _keep)) = $crate::contract::Made::made($make.await) else { return };
                $crate::contract::$suite::$case(store.into()).await;
            }
        )+
    };
}

/// The journal's suite.
#[macro_export]
macro_rules! journal_contract {
    ($make:expr) => {
        $crate::contract!(
            journal,
            $make,
            [
                the_same_key_is_the_same_run_within_a_tenant,
                the_same_key_for_another_task_is_a_conflict,
                a_key_outlives_the_end_of_its_run,
                an_id_is_accepted_once,
                a_run_may_be_claimed_as_it_is_accepted,
                a_claim_at_acceptance_overtakes_nobody,
                a_known_key_is_not_claimed_again,
                a_claim_at_acceptance_counts_for_fairness,
                runs_are_claimed_by_priority_then_age,
                a_flood_of_one_tenant_does_not_starve_another,
                claims_side_by_side_share_nothing,
                only_known_versions_and_the_wished_run_are_claimed,
                a_claim_that_names_no_version_takes_every_one,
                an_expired_lease_is_taken_over_with_a_higher_fence,
                a_zombie_and_a_stale_length_are_refused_and_change_nothing,
                records_come_in_order_and_in_pages,
                a_finished_run_keeps_its_result_and_takes_nothing_more,
                a_released_run_waits_again,
                a_heartbeat_renews_and_tells_what_others_wish,
                cancelling_ends_what_waits_and_tells_what_runs,
                nothing_is_read_without_its_tenant,
                lists_are_newest_first_filtered_and_paged,
                many_runs_commit_side_by_side,
            ]
        );
    };
}

/// The ledger's suite.
#[macro_export]
macro_rules! ledger_contract {
    ($make:expr) => {
        $crate::contract!(
            ledger,
            $make,
            [
                a_hold_is_raised_charged_and_given_back,
                a_refusal_changes_nothing_and_says_why,
                two_hundred_callers_never_overspend,
                holds_that_come_together_do_not_overspend,
                attempts_are_written_once_and_read_by_their_tenant,
                a_key_may_be_held_again_after_it_was_closed,
                what_exceeds_the_hold_is_spent_all_the_same,
                a_charge_that_comes_late_counts,
                windows_refill_and_a_hold_stays_in_its_own,
                tenants_share_no_account_and_counting_has_no_limit,
                vast_usage_does_not_stop_the_ledger,
                an_agents_account_pays_for_its_own_attempts_only,
                one_account_under_two_limits_holds_once_within_both,
                a_hold_that_nobody_waits_for_leaves_nothing,
                what_was_said_is_not_said_again,
            ]
        );
        $crate::contract!(
            windows,
            $make,
            [
                a_rolling_window_counts_until_all_of_it_is_over,
                a_raise_counts_with_what_began_later,
                parts_of_a_window_are_held_side_by_side_within_one_limit,
                a_day_is_that_of_its_zone,
                each_measure_counts_its_own,
                who_has_too_many_under_way_waits_until_one_has_ended,
            ]
        );
        $crate::contract!(
            spending,
            $make,
            [
                spending_is_what_the_attempts_come_to,
                groups_are_the_dearest_first_and_the_rest_is_summed,
                spending_is_of_its_tenant_and_its_time,
                vast_amounts_do_not_stop_a_report,
                a_question_that_makes_no_sense_is_refused_by_field,
            ]
        );
    };
}

/// The suite of a ledger that several processes share: the expression gives two handles, as two processes have them.
#[macro_export]
macro_rules! shared_ledger_contract {
    ($make:expr) => {
        $crate::contract!(
            shared_ledger,
            $make,
            [
                two_hundred_callers_of_two_nodes_never_overspend,
                one_of_two_that_ask_at_once_gets_the_last,
                what_one_node_holds_and_spends_the_other_does_not_have,
                a_key_means_another_hold_on_another_node,
            ]
        );
    };
}

/// The audit trail's suite.
#[macro_export]
macro_rules! audit_contract {
    ($make:expr) => {
        $crate::contract!(
            audit,
            $make,
            [
                lines_come_newest_first_and_whole,
                a_trail_shows_its_tenant_only,
                the_order_is_that_of_noting,
                many_note_side_by_side_and_nothing_is_lost,
            ]
        );
    };
}

/// The cache's suite.
#[macro_export]
macro_rules! cache_contract {
    ($make:expr) => {
        $crate::contract!(
            cache,
            $make,
            [
                what_is_kept_is_found_until_its_time_is_over,
                nothing_is_given_to_another_tenant,
                what_is_forgotten_is_found_no_more,
                what_was_asked_before_all_was_forgotten_is_not_kept,
            ]
        );
    };
}

/// The suite of states that are kept for the next start.
#[macro_export]
macro_rules! snapshots_contract {
    ($make:expr) => {
        $crate::contract!(
            snapshots,
            $make,
            [
                what_was_kept_last_is_found,
                parts_share_nothing,
                what_is_too_large_is_refused_and_changes_nothing,
            ]
        );
    };
}
