use super::*;
use crate::read::Stamp;
use crate::send::Kind;
use proptest::prelude::*;

fn timing() -> Timing {
    Timing {
        speed: Speed(1.0),
        rate: None,
        spread: Spread::Uniform,
        grain: Duration::ZERO,
        reorder: Duration::from_secs(5),
        max_gap: None,
        duration: None,
        seed: 1,
    }
}

/// A request whose body is its number.
fn made(number: usize, ns: i64, coarse: bool) -> Made {
    let bytes = number.to_string().into_bytes().into_boxed_slice();
    Made { at: Stamp { ns, coarse }, user: 1, key: 0, kind: Kind::Plain, bytes }
}

/// Number and deadline in nanoseconds of each job, in the order of sending.
fn plan(timing: Timing, stamps: &[(i64, bool)], rounds: usize) -> (Vec<(usize, u64)>, SharedLedger) {
    let (mut planner, ledger, mut out) = (Planner::new(timing), SharedLedger::default(), Vec::new());
    let mut take = |job: Job| {
        out.push((std::str::from_utf8(&job.bytes).unwrap().parse().unwrap(), job.due_ns));
        true
    };
    let run = (0..rounds).try_for_each(|_| {
        for (number, (ns, coarse)) in stamps.iter().enumerate() {
            planner.push(made(number, *ns, *coarse), b"", &ledger, &mut take)?;
        }
        planner.end_of_log(&mut take)
    });
    drop(run);
    (out, ledger)
}

const MS: u64 = 1_000_000;

fn exact(ms: &[i64]) -> Vec<(i64, bool)> {
    ms.iter().map(|ms| (1_431_857_103_000_000_000 + ms * 1_000_000, false)).collect()
}

fn seconds(s: &[i64]) -> Vec<(i64, bool)> {
    s.iter().map(|s| ((1_431_857_103 + s) * 1_000_000_000, true)).collect()
}

#[test]
fn deadlines_are_the_logs_at_its_speed() {
    let fast = Timing { speed: Speed(10.0), ..timing() };
    let (jobs, _) = plan(fast, &exact(&[0, 15, 40, 1_000]), 1);
    assert_eq!(jobs, [(0, 0), (1, 1_500_000), (2, 4 * MS), (3, 100 * MS)]);
}

#[test]
fn what_is_out_of_order_is_put_in_order() {
    let (jobs, ledger) = plan(timing(), &exact(&[0, 4_000, 1_000, 9_000, 2_000, 6_000]), 1);
    assert_eq!(jobs.iter().map(|j| j.0).collect::<Vec<_>>(), [0, 2, 1, 4, 5, 3].map(|n| n).to_vec());
    let ledger = ledger.lock();
    assert_eq!((ledger.noted[&Note::Reordered].count, ledger.noted[&Note::ClockBack].count), (3, 1));
}

#[test]
fn a_second_is_filled_as_asked() {
    let log = seconds(&[0, 0, 0, 0, 1, 1]);
    let places = |spread| plan(Timing { spread, ..timing() }, &log, 1).0.iter().map(|j| j.1 / MS).collect::<Vec<_>>();
    assert_eq!(places(Spread::Uniform), [0, 250, 500, 750, 1_000, 1_500]);
    assert_eq!(places(Spread::Burst), [0, 0, 0, 0, 1_000, 1_000]);
    let random = places(Spread::Poisson);
    assert!(random.is_sorted() && random != places(Spread::Uniform) && random[3] < 1_000, "{random:?}");
}

#[test]
fn a_rate_takes_the_place_of_the_clock() {
    let rate = Timing { rate: Some(Rate::constant(100.0)), ..timing() };
    let (jobs, _) = plan(rate.clone(), &seconds(&[0, 0, 7, 90]), 2);
    assert_eq!(jobs.iter().map(|j| j.1 / MS).collect::<Vec<_>>(), [0, 10, 20, 30, 40, 50, 60, 70]);
    // An even rate on a grid keeps its rate, and a duration its number of requests.
    let coarse = Timing { rate: Some(Rate::constant(2_500.0)), grain: Duration::from_millis(1), ..timing() };
    let (jobs, _) = plan(coarse.clone(), &seconds(&[0; 7]), 1);
    assert_eq!(jobs.iter().map(|j| j.1 / 1_000).collect::<Vec<_>>(), [0, 0, 0, 1_000, 1_000, 2_000, 2_000]);
    let (jobs, _) = plan(Timing { duration: Some(Duration::from_millis(2)), ..coarse.clone() }, &seconds(&[0; 9]), 1);
    assert_eq!(jobs.len(), 5);
    let (exact, _) = plan(Timing { grain: Duration::ZERO, ..coarse }, &seconds(&[0; 7]), 1);
    assert_eq!(exact.iter().map(|j| j.1 / 1_000).collect::<Vec<_>>(), [0, 400, 800, 1_200, 1_600, 2_000, 2_400]);
    let (jobs, _) = plan(Timing { spread: Spread::Poisson, ..rate.clone() }, &seconds(&[0; 2_000]), 1);
    // 2,000 arrivals at 100/s: 20 s, give or take 4 × √2000 / 100.
    assert!((jobs[1_999].1 as f64 / 1e9 - 20.0).abs() < 1.8, "{:?}", jobs[1_999]);
    let (jobs, _) = plan(Timing { duration: Some(Duration::from_millis(25)), ..rate }, &seconds(&[0; 9]), 1);
    assert_eq!(jobs.len(), 3);
}

#[test]
fn rounds_follow_each_other_and_pauses_can_be_cut() {
    let (jobs, _) = plan(timing(), &exact(&[0, 100, 200]), 2);
    // The mean gap of the first round is 200 ms over three requests.
    assert_eq!(jobs.iter().map(|j| j.1 / 1_000).collect::<Vec<_>>(), [0, 100_000, 200_000, 266_666, 366_666, 466_666]);
    let cut = Timing { max_gap: Some(Duration::from_millis(500)), ..timing() };
    let (jobs, _) = plan(cut, &exact(&[0, 86_400_000, 86_400_100]), 1);
    assert_eq!(jobs.iter().map(|j| j.1 / MS).collect::<Vec<_>>(), [0, 500, 600]);
}

proptest! {
    /// However broken its clock is, a log is planned whole and deadlines never go back; lines of one stamp keep
    /// their order.
    #[test]
    fn nothing_is_lost(stamps in prop::collection::vec((0_i64..60, any::<bool>()), 1..200), spread in prop::sample::select(vec![Spread::Uniform, Spread::Poisson, Spread::Burst])) {
        let log: Vec<(i64, bool)> = stamps.iter().map(|(s, coarse)| ((1_431_857_103 + s) * 1_000_000_000, *coarse)).collect();
        let (jobs, _) = plan(Timing { spread, ..timing() }, &log, 1);
        let mut seen: Vec<usize> = jobs.iter().map(|j| j.0).collect();
        prop_assert!(jobs.is_sorted_by_key(|j| j.1));
        seen.sort_unstable();
        prop_assert_eq!(seen, (0..log.len()).collect::<Vec<_>>());
    }

    /// A log whose disorder is within the window is planned as if it had been in order.
    #[test]
    fn small_disorder_leaves_no_trace(mut ms in prop::collection::vec(0_i64..100_000, 1..200), swaps in prop::collection::vec(0_usize..199, 0..50)) {
        ms.sort_unstable();
        let straight: Vec<u64> = plan(timing(), &exact(&ms), 1).0.iter().map(|j| j.1).collect();
        for at in swaps {
            // Neighbours less than the window apart.
            if at + 1 < ms.len() && ms[at + 1] - ms[at] < 2_000 && ms[0] != ms[at] {
                ms.swap(at, at + 1);
            }
        }
        prop_assume!(ms.windows(2).all(|w| w[0] - w[1] < 4_000));
        let (jobs, ledger) = plan(timing(), &exact(&ms), 1);
        if !ledger.lock().noted.contains_key(&Note::ClockBack) {
            prop_assert_eq!(jobs.iter().map(|j| j.1).collect::<Vec<_>>(), straight);
        }
    }
}
