//! Views of items: what is popular now.

use super::{Place, moment};
use crate::{Ingest, Popular};
use bandit::{UserEvent, UserEventKind};

fn view(id: &str, item: &str, hours: i64) -> UserEvent {
    UserEvent {
        id: id.into(),
        kind: UserEventKind::View,
        name: String::new(),
        user: Some("u".into()),
        item: Some(item.into()),
        decision_id: None,
        experiment: None,
        value: 1.0,
        at: moment(hours * 3_600_000 + 5),
    }
}

fn batch(events: &[UserEvent]) -> Ingest {
    Ingest { at: moment(0), events: events.iter().map(|e| (e.clone(), Vec::new())).collect(), ..Ingest::default() }
}

fn popular(list: &[(&str, f64)]) -> Vec<Popular> {
    list.iter().map(|(id, score)| Popular { id: (*id).into(), score: *score }).collect()
}

/// Each view counts once, half as much after each half-life, and nothing after ten.
pub async fn views_fade(place: impl Place) {
    let stores = place.open().await;
    let events = [
        view("1", "old", 0),
        view("2", "old", 0),
        view("3", "new 'q' 椅子", 4),
        view("4", "b", 2),
        view("5", "a", 2),
        UserEvent { kind: UserEventKind::Exposure, ..view("6", "a", 2) },
    ];
    stores.outcomes.ingest(&batch(&events)).await.unwrap();
    // Delivered again, and some more in the same hour.
    stores.outcomes.ingest(&batch(&events)).await.unwrap();
    stores.outcomes.ingest(&batch(&[view("7", "old", 0), view("1", "other", 3)])).await.unwrap();
    let at = |hours: i64| moment(hours * 3_600_000);
    let viewed = &stores.item_views;
    let most =
        async |hours, half_life, limit| viewed.most_viewed(at(hours), half_life, limit, &|_| true).await.unwrap();
    assert_eq!(most(4, 2.0, 9).await, popular(&[("new 'q' 椅子", 1.0), ("old", 0.75), ("a", 0.5), ("b", 0.5)]));
    assert_eq!(most(4, 2.0, 1).await, popular(&[("new 'q' 椅子", 1.0)]));
    assert_eq!(most(4, 1000.0, 1).await[0].id, "old");
    // A clock that is behind counts what is to come as of now; ten half-lives later nothing counts.
    assert_eq!(most(3, 2.0, 1).await, popular(&[("old", 3.0 * (-1.5f64).exp2())]));
    assert_eq!(most(3, 2.0, 2).await[1], popular(&[("new 'q' 椅子", 1.0)])[0]);
    assert_eq!(most(4 + 21, 2.0, 9).await, []);
    assert_eq!(most(4, 2.0, 0).await, []);
    let some = viewed.most_viewed(at(4), 2.0, 1, &|id| id == "b").await.unwrap();
    assert_eq!(some, popular(&[("b", 0.5)]), "what does not count takes no place");
}
