//! What every backend must hold: one suite for each trait.
//!
//! A backend says where it keeps things during a test, and runs a suite in one line:
//!
//! ```text
//! store::conformance!(assignments: Emulator);
//! ```
#![expect(clippy::unwrap_used, reason = "a suite fails by panicking")]

pub mod assignments;
pub mod candidates;
pub mod catalog_changes;
pub mod catalog_models;
pub mod catalogs;
pub mod decisions;
pub mod event_log;
pub mod experiments;
pub mod expired_items;
pub mod findings;
pub mod history;
pub mod item_views;
pub mod keys;
pub mod leases;
pub mod list_hours;
pub mod lists;
pub mod outcomes;
pub mod outcomes_days;
pub mod outcomes_model;
pub mod parsers;
pub mod people;
pub mod posterior_sets;
pub mod proxy;
pub mod replicas;
pub mod runs;
#[cfg(feature = "cloud")]
pub mod services;
mod streams;
pub mod users;
pub mod vector_work;
pub mod views;

use crate::{Change, Stores};
use jiff::Timestamp;
use std::time::Duration;

/// Longest that anything awaited here may take: a hang fails instead.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Where a backend keeps things during one test: made empty for each, and gone with it.
pub trait Place: Default + Send + Sync {
    /// Whether days are gone once `expire` returns. Where they go by themselves, some time later, that is not tested.
    const EXPIRES_AT_ONCE: bool = true;

    /// Whether it may be opened while it is open, as by another process.
    const OPENS_TWICE: bool = false;

    /// Whether its event log has one order, counts what waits, and gives at once whatever was appended; else it keeps the
    /// order of each user, and gives what has come so far.
    const ONE_ORDER: bool = true;

    /// Whether there can be one: a service may not be installed, which was said then.
    #[must_use]
    fn available() -> bool {
        true
    }

    /// Opens what is kept here. Called again once all that it gave was dropped, it finds everything as it was.
    fn open(&self) -> impl Future<Output = Stores> + Send;
}

/// Runs a suite against a [`conformance::Place`](crate::conformance::Place), one test for each of its cases.
#[macro_export]
macro_rules! conformance {
    (assignments: $place:ty) => {
        $crate::conformance!(@assignments $place: one_winner_per_key every_field_comes_back kept_across_reopening
            days_are_apart past_days_are_let_go removed_and_dealt_again);
    };
    (posterior_sets: $place:ty) => {
        $crate::conformance!(@posterior_sets $place: versions_follow_each_other one_of_two_publishers_wins
            ids_do_not_mix kept_across_reopening an_abandoned_publication_is_whole);
    };
    (catalogs: $place:ty) => {
        $crate::conformance!(@catalogs $place: every_field_comes_back replaced_and_removed pages_cover_everything
            kept_across_reopening limits_and_conflicts removed_and_made_again removals_cut_off_leave_nothing
            popular_lists_are_replaced the_log_has_an_id_of_its_own);
        $crate::conformance!(@catalog_models $place: lists_go_by_what_serves items_are_replaced_if_they_are_the_same
            replacing_loses_no_put putting_loses_no_vector);
        $crate::conformance!(@catalog_changes $place: numbers_have_no_gap followers_converge waiting_for_changes
            abandoned_puts_are_noted);
    };
    (expired_items: $place:ty) => {
        $crate::conformance!(@expired_items $place: the_expired_go what_is_put_again_stays);
    };
    (views: $place:ty) => {
        $crate::conformance!(@views $place: newest_first_each_once at_one_moment_in_order_of_item visitors_are_apart
            very_many_stay_bounded forgotten appended_beside_each_other);
    };
    (lists: $place:ty) => {
        $crate::conformance!(@lists $place: read_with_the_views the_list_of_the_later_views_stays everybody_is_walked_over
            forgotten_with_the_views);
    };
    (event_log: $place:ty) => {
        $crate::conformance!(@event_log $place: in_order_at_least_once every_event_comes_back nothing_appended
            acknowledged_never_again kept_across_reopening many_appenders_one_consumer
            abandoned_appends_are_all_or_nothing late_receipts_change_nothing);
    };
    (experiments: $place:ty) => {
        $crate::conformance!(@experiments $place: created_once listed_in_pages replaced_at_its_revision
            one_of_two_editors_wins statuses_follow_the_life stopped_with_a_winner deleted_by_its_rules
            a_draft_with_outcomes_keeps_its_id every_change_is_audited frozen_until_somebody_acts
            found_by_what_is_asked);
    };
    (outcomes: $place:ty) => {
        $crate::conformance!(@outcomes $place: any_order_gives_the_same_counts windows_have_edges
            a_reward_may_come_first the_first_reward_has_the_delay an_id_counts_once features_group_counts
            strangers_are_set_aside long_records_are_cut
            trials_by_exposure the_holdout_is_apart large_batches imported_whole_or_not import_names_are_taken
            batches_beside_each_other an_id_counts_once_on_any_day odd_days_count texts_of_any_characters
            the_past_is_forgotten forgotten_beside_batches);
    };
    (candidates: $place:ty) => {
        $crate::conformance!(@candidates $place: items_are_arms arms_have_an_order_of_their_own arms_are_bounded arms_are_forgotten_with_their_days
            one_runs_on_a_catalog);
    };
    (decisions: $place:ty) => {
        $crate::conformance!(@decisions $place: searched_by_each_field pages_have_no_gap_and_no_repeat
            quiet_times_are_crossed one_with_its_events);
    };
    (findings: $place:ty) => {
        $crate::conformance!(@findings $place: kept_and_replaced dealt_by_hour_and_all_else struck_by_event
            several_arms_of_a_user two_arms_of_an_assignment weighed_by_propensity);
    };
    (history: $place:ty) => {
        $crate::conformance!(@history $place: kept_once thinned_evenly unreadable_versions_are_left_out newest_of_several what_is_missing_is_found
            forgotten_with_their_day);
    };
    (item_views: $place:ty) => {
        $crate::conformance!(@item_views $place: views_fade);
    };
    (list_hours: $place:ty) => {
        $crate::conformance!(@list_hours $place: counts_are_replaced_and_summed forgotten_with_the_past
            maps_are_kept_and_replaced);
    };
    (vector_work: $place:ty) => {
        $crate::conformance!(@vector_work $place: noted_with_the_cursor settled_unless_noted_again failures_wait_or_go_aside
            walks_go_on_where_they_were);
    };
    (runs: $place:ty) => {
        $crate::conformance!(@runs $place: one_run_answers_all_requests taken_once reports_come_back old_reports_are_read
            dead_runs_are_abandoned newest_first kinds_and_how_far_they_came frequent_runs_are_bounded);
    };
    (keys: $place:ty) => {
        $crate::conformance!(@keys $place: created_listed_revoked);
    };
    (users: $place:ty) => {
        $crate::conformance!(@users $place: erased_and_counted_as_before what_is_on_its_way_is_left_out
            notes_are_in_the_audit_log);
    };
    (people: $place:ty) => {
        $crate::conformance!(@people $place: added_listed_changed sessions_end sessions_end_with_what_they_rest_on);
    };
    (leases: $place:ty) => {
        $crate::conformance!(@leases $place: held_by_one released taken_over_when_it_lapses one_of_many_wins);
    };
    (replicas: $place:ty) => {
        $crate::conformance!(@replicas $place: the_newest_word_is_read_back the_silent_are_forgotten);
    };
    (@$suite:ident $place:ty: $($case:ident)*) => {
        mod $suite {
            use super::*;
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    if !<$place as $crate::conformance::Place>::available() {
                        return;
                    }
                    $crate::conformance::$suite::$case(<$place as Default>::default()).await;
                }
            )*
        }
    };
}

/// Fails a test that hangs.
pub(crate) async fn soon<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(PATIENCE, future).await.unwrap()
}

/// A moment `ms` milliseconds into a certain hour.
fn moment(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(1_795_255_200_000 + ms).unwrap()
}

/// A change made by `who` because of `why`.
pub(crate) fn change(who: &str, why: &str, ms: i64) -> Change {
    Change { who: who.into(), why: why.into(), at: moment(ms), request: String::new() }
}

/// An experiment of three arms, with `more` of its JSON.
pub(crate) fn experiment(id: &str, more: &str) -> bandit::Experiment {
    let json = format!(
        r#"{{"id":"{id}","arms":[{{"id":"a","payload":{{"β":[1,2.5,null]}}}},{{"id":"b"}},{{"id":"c"}}],
            "reward":{{"event":"buy","window_hours":1}}{more}}}"#
    );
    serde_json::from_str(&json).unwrap()
}

/// Numbers that are the same on every run (SplitMix64), so that a failure is named by its seed.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `n`.
    fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(n).unwrap()).unwrap()
    }

    /// One of `list`.
    fn pick<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.below(list.len())]
    }

    fn shuffle<T>(&mut self, list: &mut [T]) {
        for i in (1..list.len()).rev() {
            list.swap(i, self.below(i + 1));
        }
    }
}
