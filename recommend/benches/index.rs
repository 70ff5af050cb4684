//! quick
use rand::RngExt;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use recommend::{Metric, index::Index};
use std::time::Duration;
fn cpu() -> Duration {
    let t = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(t.tv_sec as u64, t.tv_nsec as u32)
}

fn data(seed: u64, n: usize, d: usize, noise: f32) -> Vec<Vec<f32>> {
    let mut c = ChaCha8Rng::seed_from_u64(1);
    let mut normal = |r: &mut ChaCha8Rng| -> f32 { StandardNormal.sample(r) };
    let centres: Vec<Vec<f32>> = (0..1000).map(|_| (0..d).map(|_| normal(&mut c)).collect()).collect();
    let mut r = ChaCha8Rng::seed_from_u64(seed);
    (0..n)
        .map(|_| {
            let c = r.random_range(0..1000);
            let v: Vec<f32> = centres[c].iter().map(|v| v + noise * normal(&mut r)).collect();
            recommend::index::unit(&v).unwrap()
        })
        .collect()
}

fn main() {
    for (n, d) in [(10_000, 512), (100_000, 256), (180_000, 128)] {
        let rows = data(2, n, d, 0.7);
        let queries = data(3, 200, d, 0.7);
        let mut index = Index::new(d, Metric::Cosine);
        let t = cpu();
        for (i, v) in rows.iter().enumerate() {
            index.insert(i as u32, v);
        }
        println!("insert {:?}", (cpu() - t) / n as u32);
        let flat = vec![1u64; n * d / 8];
        for _ in 0..3 {
            let t = cpu();
            let mut sum = 0;
            for i in 0..50 {
                sum += std::hint::black_box(&flat).iter().map(|v| v ^ i).sum::<u64>();
            }
            let t = (cpu() - t) / 50;
            println!("flat {t:?} {:.1} GB/s {sum}", n as f64 * d as f64 / t.as_secs_f64() / 1e9);
        }
        for _ in 0..3 {
            for k in [1, 10, 100] {
                let t = cpu();
                let mut sum = 0.0;
                for q in &queries {
                    sum += index.search(q, k, |_| true)[0].score;
                }
                println!("{n} {d} {k} {:?} {sum}", (cpu() - t) / queries.len() as u32);
            }
        }
    }
}
