//! Looking for decisions: by each field, in pages, across quiet times.

use super::outcomes_model::{decision, event};
use super::{Place, change, experiment, moment};
use crate::{ClaimStanding, Cursor, DecisionFilter, FoundDecisions, Ingest, Stores};
use bandit::{DecisionId, DecisionRecord, Experiment, Source, UserEventKind};
use std::collections::BTreeSet;

async fn begin(place: &impl Place) -> (Stores, Experiment, Experiment) {
    let stores = place.open().await;
    let (e, f) = (experiment("e", r#","sticky":{"time_zone":"Asia/Tokyo"}"#), experiment("f", ""));
    for e in [&e, &f] {
        stores.experiments.create(e, &change("me", "", 0)).await.unwrap();
    }
    (stores, e, f)
}

async fn ingest(stores: &Stores, decisions: Vec<DecisionRecord>) {
    stores.outcomes.ingest(&Ingest { at: moment(0), decisions, ..Ingest::default() }).await.unwrap();
}

fn later(ms: i64) -> Cursor {
    Cursor::at(moment(ms))
}

async fn search(stores: &Stores, wanted: &DecisionFilter) -> FoundDecisions {
    stores.decisions.search(wanted, later(3_600_000), 50).await.unwrap()
}

fn ids(found: &FoundDecisions) -> Vec<DecisionId> {
    found.decisions.iter().map(|d| d.record.decision_id).collect()
}

/// Every field finds what a filter over all of them finds, alone and with any other.
pub async fn searched_by_each_field(place: impl Place) {
    let (stores, e, f) = begin(&place).await;
    let mut all = Vec::new();
    for n in 0..40u64 {
        let of = if n % 5 == 4 { &f } else { &e };
        let mut d = decision(of, n, i64::try_from(n).unwrap() * 70_000);
        d.user = ["u1", "u2", "<b>'\"\u{202e}\\"][usize::try_from(n % 3).unwrap()].into();
        d.item = [None, Some("i1"), Some("端末"), Some("")][usize::try_from(n % 4).unwrap()].map(Into::into);
        d.arm = ["a", "b"][usize::try_from(n % 2).unwrap()].into();
        d.segment = ["all", "x=1,y="][usize::try_from(n / 3 % 2).unwrap()].into();
        d.source = [Source::Policy, Source::Holdout, Source::NotEnrolled, Source::Paused, Source::Fallback]
            [usize::try_from(n / 2 % 5).unwrap()];
        if n == 7 {
            d.features = Some([("x".into(), bandit::ContextValue::Text("Ω".into()))].into());
        }
        all.push(d);
    }
    let rewarded: BTreeSet<DecisionId> =
        all.iter().filter(|d| d.source.is_trial()).step_by(3).map(|d| d.decision_id).collect();
    let events = all
        .iter()
        .filter(|d| rewarded.contains(&d.decision_id))
        .map(|d| event(&e, &d.decision_id.to_string(), UserEventKind::Reward, ms_of(d) + 5, &[d]))
        .collect();
    let batch = Ingest { at: moment(0), decisions: all.clone(), events, ..Ingest::default() };
    stores.outcomes.ingest(&batch).await.unwrap();
    all.reverse();

    let nothing = DecisionFilter::default();
    let found = search(&stores, &nothing).await;
    assert_eq!((found.next, found.gave_up, found.decisions.len()), (None, false, 40));
    for (found, d) in found.decisions.iter().zip(&all) {
        // The day is that of the moment in the experiment's zone.
        assert_eq!(found.record, DecisionRecord { day: found.record.day, ..d.clone() });
        assert_eq!(found.rewarded, rewarded.contains(&d.decision_id), "{d:?}");
        assert_eq!((found.trial, found.delay_ms), (d.source.is_trial(), found.rewarded.then_some(5)));
    }
    let some = |text: &str| Some(text.to_owned());
    let filters = [
        DecisionFilter { experiment: some("e"), ..nothing.clone() },
        DecisionFilter { experiment: some("none"), ..nothing.clone() },
        DecisionFilter { user: some("u2"), ..nothing.clone() },
        DecisionFilter { user: some("<b>'\"\u{202e}\\"), ..nothing.clone() },
        DecisionFilter { user: some("u"), ..nothing.clone() },
        DecisionFilter { item: some("端末"), ..nothing.clone() },
        DecisionFilter { user: some("u1\0"), item: some("\0"), segment: some("all\0"), ..nothing.clone() },
        DecisionFilter { item: some(""), ..nothing.clone() },
        DecisionFilter { arm: Some(1), ..nothing.clone() },
        DecisionFilter { segment: some("x=1,y="), ..nothing.clone() },
        DecisionFilter { source: Some(Source::Fallback), ..nothing.clone() },
        DecisionFilter { from: Some(moment(700_000)), ..nothing.clone() },
        DecisionFilter { to: Some(moment(700_000)), ..nothing.clone() },
        DecisionFilter { rewarded: Some(true), ..nothing.clone() },
        DecisionFilter { rewarded: Some(false), ..nothing.clone() },
    ];
    for (a, b) in filters.iter().flat_map(|a| filters.iter().map(move |b| (a, b))) {
        let both = both(a, b);
        let expected: Vec<DecisionId> = all
            .iter()
            .filter(|d| matches(&both, d, &e, rewarded.contains(&d.decision_id)))
            .map(|d| d.decision_id)
            .collect();
        let found = search(&stores, &both).await;
        assert_eq!((ids(&found), found.next, found.gave_up), (expected, None, false), "{both:?}");
    }
}

fn ms_of(d: &DecisionRecord) -> i64 {
    d.at.as_millisecond() - moment(0).as_millisecond()
}

/// Where both name a field, the second's.
fn both(a: &DecisionFilter, b: &DecisionFilter) -> DecisionFilter {
    let (a, b) = (a.clone(), b.clone());
    DecisionFilter {
        experiment: b.experiment.or(a.experiment),
        user: b.user.or(a.user),
        item: b.item.or(a.item),
        arm: b.arm.or(a.arm),
        segment: b.segment.or(a.segment),
        source: b.source.or(a.source),
        from: b.from.or(a.from),
        to: b.to.or(a.to),
        rewarded: b.rewarded.or(a.rewarded),
    }
}

fn matches(wanted: &DecisionFilter, d: &DecisionRecord, e: &Experiment, rewarded: bool) -> bool {
    let is = |wanted: &Option<String>, text: &str| wanted.as_ref().is_none_or(|w| w == text);
    is(&wanted.experiment, &d.experiment)
        && is(&wanted.user, &d.user)
        && wanted.item.as_ref().is_none_or(|item| d.item.as_ref() == Some(item))
        && wanted.arm.is_none_or(|arm| e.arms[arm].id == d.arm)
        && is(&wanted.segment, &d.segment)
        && wanted.source.is_none_or(|source| source == d.source)
        && wanted.from.is_none_or(|from| d.at >= from)
        && wanted.to.is_none_or(|to| d.at < to)
        && wanted.rewarded.is_none_or(|r| r == rewarded)
}

/// Page after page gives each decision once, however many share a moment, while newer ones arrive.
pub async fn pages_have_no_gap_and_no_repeat(place: impl Place) {
    let (stores, e, _) = begin(&place).await;
    // Seven at a time, some at the edges of slices.
    let at = |n: u64| [0, 60_000, 59_999, 480_000, 540_000][usize::try_from(n / 7 % 5).unwrap()];
    let all: Vec<DecisionRecord> = (0..100).map(|n| decision(&e, n, at(n))).collect();
    ingest(&stores, all.clone()).await;
    let mut expected: Vec<(i64, DecisionId)> = all.iter().map(|d| (ms_of(d), d.decision_id)).collect();
    expected.sort();
    expected.reverse();
    let expected: Vec<DecisionId> = expected.into_iter().map(|(_, id)| id).collect();
    for user in [None, Some("new")] {
        for limit in [1, 7, 10, 100] {
            let mut before = later(600_000);
            let mut seen = Vec::new();
            let wanted = DecisionFilter { experiment: Some("e".into()), ..DecisionFilter::default() };
            loop {
                let page = stores.decisions.search(&wanted, before, limit).await.unwrap();
                assert!(page.decisions.len() <= limit && !page.gave_up);
                seen.extend(ids(&page));
                // As the first page was read, new ones came in.
                if let Some(user) = user.filter(|_| seen.len() == limit) {
                    let n = 1_000 + u64::try_from(limit).unwrap();
                    let newer = DecisionRecord { user: user.into(), ..decision(&e, n, 550_000) };
                    ingest(&stores, vec![newer]).await;
                }
                let Some(next) = page.next else { break };
                before = next;
            }
            seen.retain(|id| expected.contains(id));
            assert_eq!(seen, expected, "pages of {limit}, new ones: {user:?}");
        }
    }
}

/// What is years old is found from now, and nothing is not found for ever.
pub async fn quiet_times_are_crossed(place: impl Place) {
    let (stores, e, f) = begin(&place).await;
    let day = 86_400_000;
    let old: Vec<DecisionRecord> =
        (0..).zip([0, -3, -40, -400, -4_000]).map(|(n, days)| decision(&e, n, days * day)).collect();
    ingest(&stores, old.clone()).await;
    ingest(&stores, vec![decision(&f, 9, -2 * day)]).await;
    let wanted = DecisionFilter { experiment: Some("e".into()), ..DecisionFilter::default() };
    let expected: Vec<DecisionId> = old.iter().map(|d| d.decision_id).collect();
    assert_eq!(ids(&search(&stores, &wanted).await), expected);
    assert_eq!(search(&stores, &DecisionFilter::default()).await.decisions.len(), 6);
    let recent = DecisionFilter { from: Some(moment(-41 * day)), ..wanted };
    assert_eq!(ids(&search(&stores, &recent).await), expected[..3]);
    let nobody = DecisionFilter { item: Some("nothing".into()), ..DecisionFilter::default() };
    assert_eq!(search(&stores, &nobody).await, FoundDecisions { decisions: vec![], next: None, gave_up: false });
}

/// One decision, with every event that claims it and what each is for it.
pub async fn one_with_its_events(place: impl Place) {
    let (stores, e, f) = begin(&place).await;
    // Half past midnight in Tokyo.
    let (d, other) = (decision(&e, 1, 0), decision(&f, 2, 0));
    let reward = |id: &str, ms| event(&e, id, UserEventKind::Reward, ms, &[&d]);
    let mut worthless = reward("w", 2);
    worthless.0.value = 0.0;
    let mut named = reward("n", 3);
    named.0.name = "click".into();
    let mut elsewhere = reward("o", 4);
    elsewhere.0.experiment = Some("f".into());
    let events = vec![
        reward("r", 1),
        worthless,
        named,
        elsewhere,
        event(&e, "x", UserEventKind::Exposure, 5, &[&d]),
        reward("early", -60_001),
        reward("late", 3_600_001),
        event(&f, "stranger", UserEventKind::Reward, 1, &[&other]),
    ];
    let batch = Ingest { at: moment(0), decisions: vec![d.clone(), other], events, ..Ingest::default() };
    stores.outcomes.ingest(&batch).await.unwrap();
    let story = stores.decisions.decision(&d.decision_id).await.unwrap().unwrap();
    assert_eq!((&story.definition, story.revision), (&e, 1));
    assert_eq!(story.decision.record, DecisionRecord { day: story.decision.record.day, ..d.clone() });
    assert_eq!((story.decision.trial, story.decision.rewarded, story.decision.delay_ms), (true, true, Some(1)));
    let standings: Vec<ClaimStanding> = story.events.iter().map(|e| e.standing).collect();
    assert_eq!(
        standings,
        [
            ClaimStanding::Early,
            ClaimStanding::Rewards,
            ClaimStanding::Worthless,
            ClaimStanding::OtherEvent,
            ClaimStanding::OtherExperiment,
            ClaimStanding::Exposes,
            ClaimStanding::Late,
        ]
    );
    assert_eq!(stores.decisions.decision(&decision(&e, 3, 0).decision_id).await.unwrap(), None);
}
