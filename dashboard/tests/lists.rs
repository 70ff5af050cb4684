//! Pages of an experiment that orders lists of a catalog's items, on real stores.
#![allow(clippy::unwrap_used)]

mod house;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use bandit::{DecisionRecord, Experiment, Explorer, Source, Status, UserEvent, UserEventKind};
use house::House;
use jiff::SignedDuration;
use serde_json::json;
use store::{Ingest, VersionEntry};

/// More items than are shown; `i0` most often, with rewards.
async fn shown(house: &House, e: &Experiment, items: usize) -> Vec<DecisionRecord> {
    let explorer = Explorer::new(e.clone(), Status::Running, 1, None).unwrap();
    let at = house.now - SignedDuration::from_hours(2);
    let mut batch = Ingest { at: house.now, ..Ingest::default() };
    for visitor in 0..60 {
        let user = format!("u{visitor}");
        let pool: Vec<(String, f64)> = std::iter::once(0)
            .chain((0..9).map(|n| 1 + (visitor * 9 + n) % (items - 1)))
            .map(|n| (format!("i{n}"), 1.0 - 0.001 * f64::from(u32::try_from(n).unwrap())))
            .collect();
        let pool: Vec<(&str, f64)> = pool.iter().map(|(id, s)| (id.as_str(), *s)).collect();
        let dealt = explorer.deal(&user, &[], &pool, 10, at).unwrap();
        let ids: Vec<&str> = dealt.items.iter().map(|i| pool[i.index].0).collect();
        let list = explorer.list_id(&dealt.key, 0, ids.iter().copied());
        for (position, (id, item)) in (0..).zip(ids.iter().zip(&dealt.items)) {
            let source = if visitor % 5 == 0 { Source::Holdout } else { dealt.source };
            let r = explorer.record(&user, id, dealt.day, list, position, item.propensity, 0, source, at);
            if *id == "i0" {
                let event = UserEvent {
                    id: format!("r{user}"),
                    kind: UserEventKind::Reward,
                    name: e.reward.event.clone(),
                    user: Some(user.clone()),
                    item: None,
                    decision_id: Some(r.decision_id),
                    experiment: None,
                    value: 1.0,
                    at: at + SignedDuration::from_mins(5),
                };
                batch.events.push((event, vec![r.decision_id]));
            }
            batch.decisions.push(r);
        }
    }
    house.stores.outcomes.ingest(&batch).await.unwrap();
    batch.decisions
}

#[tokio::test]
async fn pages_show_the_items_with_most_trials() {
    let house = House::open().await;
    let record = house
        .begin(json!({"id": "shelf", "candidates": {"catalog": "shop"}, "holdout": 0.2,
            "reward": {"event": "click", "window_hours": 1}}))
        .await;
    let e = record.definition.clone();
    // Before anything is known, while it is empty.
    for page in ["", "/edit", "/stop", "/plots/densities", "/plots/best", "?format=json&table=arms"] {
        let reply = house.get(&format!("/dashboard/experiments/shelf{page}")).await;
        assert_eq!(reply.status, StatusCode::OK, "{page}: {}", reply.body);
    }
    let decisions = shown(&house, &e, 80).await;
    house.publish(&record, 1).await;
    let set = house.stores.posteriors.latest("shelf").await.unwrap().unwrap();
    let evidence = house.stores.outcomes.evidence("shelf").await.unwrap();
    assert_eq!(set.arms.len(), 80);
    let entry = VersionEntry::new(&e, &set, &evidence, house.now);
    assert_eq!((entry.arms.len(), entry.arms[0].id.as_str(), entry.holdout.is_some()), (50, "i0", true));
    let page = house.get("/dashboard/experiments/shelf").await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.body.contains("It orders the lists of catalog"), "{}", page.body);
    assert!(
        page.body.contains("Shown are the") && page.body.contains("<data value=\"30\">"),
        "what is left out is said"
    );
    assert_eq!(page.body.matches("class=\"whisker\"").count(), 50);
    assert!(!page.body.contains("/what-if\""));
    for more in
        ["/edit", "/stop", "/plots/densities", "/plots/best", "/plots/allocation", "/plots/holdout", "?version=1"]
    {
        let reply = house.get(&format!("/dashboard/experiments/shelf{more}")).await;
        assert_eq!(reply.status, StatusCode::OK, "{more}: {}", reply.body);
    }
    let stop = house.get("/dashboard/experiments/shelf/stop").await;
    assert!(stop.body.contains("Lists are as they are without it."), "{}", stop.body);
    let list = house.get("/dashboard").await;
    assert!(list.status == StatusCode::OK && list.body.contains("<data value=\"600\">"), "{}", list.body);
    assert_eq!(house.get("/dashboard/experiments/shelf/what-if").await.status, StatusCode::CONFLICT);
    let found = house.get("/dashboard/decisions?experiment=shelf&arm=i0").await;
    assert!(found.body.contains("place <data"), "{}", found.body);
    assert!(!found.body.contains(">i1<"), "the arm is the item");
    let one = decisions.iter().find(|d| d.position == Some(2) && d.source == Source::Policy).unwrap();
    let decision = house.get(&format!("/dashboard/decisions/{}", one.decision_id)).await;
    for told in [&one.arm, &one.list.unwrap().to_string(), "cannot be dealt once more", "at place <data value=\"3\">"] {
        assert!(decision.body.contains(told), "{told}: {}", decision.body);
    }
    assert!(!decision.body.contains("Agrees"), "nothing was dealt once more");
    let request = Request::get("/dashboard/experiments/shelf").header("host", "x").header("accept-language", "ja");
    let japanese = house.send(request.body(Body::empty()).unwrap()).await;
    assert!(japanese.body.contains("カタログ"), "{}", japanese.body);
}
