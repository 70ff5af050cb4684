use super::*;
use proptest::prelude::*;

const KINDS: [Profile; 6] = [
    Profile::Recent { half_life_views: Some(5.0), half_life_hours: None },
    Profile::Recent { half_life_views: None, half_life_hours: Some(24.0) },
    Profile::Recent { half_life_views: Some(1e-3), half_life_hours: Some(1e-6) },
    Profile::Recent { half_life_views: None, half_life_hours: None },
    Profile::Attention { queries: 1, temperature: 0.1 },
    Profile::Attention { queries: 3, temperature: 1e-9 },
];
const METRICS: [Metric; 2] = [Metric::Cosine, Metric::InnerProduct];

fn history<'a>(vectors: &'a [Vec<f32>], ages: &[f64]) -> Vec<View<'a>> {
    vectors
        .iter()
        .zip(ages)
        .enumerate()
        .map(|(place, (vector, &age_seconds))| View { vector, age_seconds, place })
        .collect()
}

fn near(a: &[f32], b: &[f32]) -> bool {
    let size = length(a).max(length(b));
    a.iter().zip(b).all(|(x, y)| f64::from((x - y).abs()) <= 1e-5 * size)
}

fn vectors() -> impl Strategy<Value = Vec<Vec<f32>>> {
    let number = prop_oneof![Just(0.0_f32), Just(1.0), Just(-1.0), -1e3_f32..1e3, -1e-3_f32..1e-3];
    prop::collection::vec(prop::collection::vec(number, 4), 1..12)
}

fn ages() -> impl Strategy<Value = Vec<f64>> {
    let age = prop_oneof![0.0..1e7, Just(0.0), Just(-5.0), Just(f64::INFINITY), Just(f64::NAN)];
    prop::collection::vec(age, 12)
}

proptest! {
    #[test]
    fn weights_are_shares_and_vectors_finite(vectors in vectors(), ages in ages()) {
        let history = history(&vectors, &ages);
        for kind in KINDS {
            let weights = kind.weights(&history);
            prop_assert_eq!(weights.len(), history.len());
            prop_assert!(weights.iter().all(|w| (0.0..=1.0).contains(w)), "{:?}", weights);
            prop_assert!((weights.iter().sum::<f64>() - 1.0).abs() < 1e-12, "{:?}", weights);
            for metric in METRICS {
                if let Some(vector) = kind.vector(&history, metric) {
                    prop_assert!(vector.len() == 4 && vector.iter().all(|v| v.is_finite()), "{:?}", vector);
                    let unit_length = (length(&vector) - 1.0).abs() < 1e-5;
                    prop_assert!(metric != Metric::Cosine || unit_length, "{:?}", vector);
                }
            }
        }
    }

    #[test]
    fn one_view_is_the_profile(vectors in vectors(), ages in ages()) {
        let one = &history(&vectors, &ages)[..1];
        for kind in KINDS {
            let direction = unit(one[0].vector);
            let cosine = kind.vector(one, Metric::Cosine);
            prop_assert_eq!(cosine.is_some(), direction.is_some());
            if let (Some(got), Some(direction)) = (cosine, direction) {
                prop_assert!(near(&got, &direction));
                prop_assert!(near(&kind.vector(one, Metric::InnerProduct).unwrap(), one[0].vector));
            }
        }
    }

    #[test]
    fn order_matters_only_where_places_or_ages_do(vectors in vectors(), ages in ages()) {
        let history = history(&vectors, &ages);
        let mut turned = history.clone();
        // With one query, attention tells the newest view from the others, and no others apart.
        turned[1..].reverse();
        for kind in [KINDS[3], KINDS[4]] {
            for metric in METRICS {
                match (kind.vector(&history, metric), kind.vector(&turned, metric)) {
                    (Some(a), Some(b)) => prop_assert!(near(&a, &b), "{:?} {:?}", a, b),
                    (a, b) => prop_assert_eq!(a, b),
                }
            }
        }
    }
}

#[test]
fn weights_halve() {
    let vectors = vec![vec![1.0_f32, 0.0]; 3];
    let views = Profile::Recent { half_life_views: Some(1.0), half_life_hours: None };
    let weights = views.weights(&history(&vectors, &[0.0, 9e9, 0.0]));
    for (got, want) in weights.iter().zip([4.0 / 7.0, 2.0 / 7.0, 1.0 / 7.0]) {
        assert!((got - want).abs() < 1e-12, "{weights:?}");
    }
    let hours = Profile::Recent { half_life_views: None, half_life_hours: Some(2.0) };
    let weights = hours.weights(&history(&vectors[..2], &[0.0, 7_200.0]));
    assert!((weights[0] - 2.0 / 3.0).abs() < 1e-12, "{weights:?}");
    // Places are those of the whole history: one that is gone leaves its gap.
    let mut gap = history(&vectors[..2], &[0.0, 0.0]);
    gap[1].place = 2;
    assert!((views.weights(&gap)[1] - 0.2).abs() < 1e-12);
}

#[test]
fn attention_follows_the_newest_view() {
    let vectors = vec![vec![1.0_f32, 0.0], vec![0.0, 5.0], vec![3.0, 0.0]];
    let kind = Profile::Attention { queries: 1, temperature: 0.5 };
    let weights = kind.weights(&history(&vectors, &[0.0; 3]));
    assert!((weights[0] - weights[2]).abs() < 1e-12);
    assert!((weights[0] / weights[1] - 2.0_f64.exp()).abs() < 1e-9, "{weights:?}");
    // Twice e² one way, once the other.
    assert!(near(
        &kind.vector(&history(&vectors, &[0.0; 3]), Metric::Cosine).unwrap(),
        &unit(&[14.778_112, 1.0]).unwrap()
    ));
}

#[test]
fn what_has_no_direction() {
    let opposite = vec![vec![0.3_f32, -0.1, 7.0], vec![-0.3, 0.1, -7.0]];
    let even = Profile::Recent { half_life_views: None, half_life_hours: None };
    for metric in METRICS {
        for kind in KINDS {
            assert_eq!(kind.vector(&[], metric), None);
            let zeros = vec![vec![0.0_f32; 3]; 2];
            assert_eq!(kind.vector(&history(&zeros, &[0.0; 2]), metric), None);
            let mixed = vec![vec![0.0_f32; 3], vec![0.0, 2.0, 0.0]];
            assert!(kind.vector(&history(&mixed, &[0.0; 2]), metric).is_some_and(|v| v[1] > 0.0) || kind == KINDS[2]);
            let _ = kind.vector(&history(&opposite, &[0.0; 2]), metric);
        }
        assert_eq!(even.vector(&history(&opposite, &[0.0; 2]), metric), None);
    }
    let both = Profile::Attention { queries: 2, temperature: 0.1 };
    assert_eq!(both.weights(&history(&opposite, &[0.0; 2])), [0.5, 0.5]);
}

#[test]
fn settings_read_as_written() {
    assert_eq!(Profile::default().check(), Ok(()));
    let read = |text: &str| serde_json::from_str::<Profile>(text);
    let recent = Profile::Recent { half_life_views: None, half_life_hours: Some(24.0) };
    assert_eq!(read(r#"{"kind":"recent","half_life_hours":24}"#).unwrap(), recent);
    assert_eq!(serde_json::to_string(&recent).unwrap(), r#"{"kind":"recent","half_life_hours":24.0}"#);
    let attention = read(r#"{"kind":"attention"}"#).unwrap();
    assert_eq!((attention.check(), matches!(attention, Profile::Attention { .. })), (Ok(()), true));
    assert!(read(r#"{"kind":"attention","half_life_hours":24}"#).is_err());
    for (wrong, field) in [
        (Profile::Recent { half_life_views: Some(0.0), half_life_hours: None }, "profile.half_life_views"),
        (Profile::Recent { half_life_views: None, half_life_hours: Some(f64::NAN) }, "profile.half_life_hours"),
        (Profile::Attention { queries: 0, temperature: 1.0 }, "profile.queries"),
        (Profile::Attention { queries: 1, temperature: -1.0 }, "profile.temperature"),
    ] {
        assert_eq!(wrong.check().unwrap_err().field, field);
    }
}
