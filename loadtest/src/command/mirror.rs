//! `loadtest mirror`

use super::finish::{finish, try_files};
use super::listener::{Arrival, Missed, listen};
use super::replay::command_line;
use super::{Verdict, interrupt, knock, run};
use crate::args::MirrorArgs;
use crate::check::{Progress, Watch};
use crate::failure::Failure;
use crate::map::Mapping;
use crate::read::{Entry, Note, SharedLedger};
use crate::report::{Length, Live};
use crate::send::{Job, Outbox};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError, sync_channel};
use std::time::{Duration, Instant};

/// How often it is looked whether time is over while nothing arrives.
const GLANCE: Duration = Duration::from_millis(50);

pub(super) fn mirror(args: &MirrorArgs) -> Result<Verdict, Failure> {
    let mapping = args.map.mapping(&args.send)?;
    let stop = interrupt::flag()?;
    let targets = args.send.targets()?;
    knock(&targets, args.send.timeout)?;
    try_files(&args.output)?;
    let (queue, arrivals) = sync_channel(args.queue.max(1));
    let missed = Missed::default();
    let epoch = Instant::now();
    let address = listen(args.listen, queue, missed.clone())?;
    println!("listening on http://{address}; Ctrl-C ends it with a report");
    let ledger = SharedLedger::default();
    let length = args.duration.map_or(Length::Unknown, Length::Time);
    let mut live = Live::new(length, args.output.quiet, ledger.clone());
    let progress: Progress = Box::new(move |stats, waiting, now_ns| live.tick(stats, waiting, now_ns));
    let watch = Watch::new(mapping.base.clone(), args.map.reward_model()?, args.send.compare.is_some(), progress);
    // A target that is away for a while is no reason to stop listening.
    let send = crate::args::SendArgs { patience: Duration::MAX, ..args.send.clone() };
    let (prepared, outbox) = run::prepare(&send, targets, watch, stop.clone(), Some(epoch))?;
    let until = args.duration.map(|duration| epoch + duration);
    let forward = Forward { mapping, ledger: ledger.clone(), epoch, stop, until };
    let forward = move || forward.run(&arrivals, outbox);
    let forward = std::thread::Builder::new().name("mapper".into()).spawn(forward);
    forward.map_err(|error| Failure::System { what: "start a thread", error })?;
    let mut report = prepared.run(&command_line(), &ledger)?;
    {
        let mut ledger = ledger.lock();
        for (note, count) in [(Note::QueueFull, &missed.dropped), (Note::BodyLeft, &missed.bodies)] {
            ledger.note_all(note, count.load(Ordering::Relaxed));
        }
        report.log = crate::report::LogReport::new(&ledger);
    }
    finish(&report, &args.output, args.send.patience)
}

/// Makes jobs of what arrived.
struct Forward {
    mapping: Mapping,
    ledger: SharedLedger,
    epoch: Instant,
    stop: Arc<AtomicBool>,
    until: Option<Instant>,
}

impl Forward {
    fn run(&self, arrivals: &Receiver<Arrival>, mut outbox: Outbox) {
        let mut made = Vec::new();
        while !self.over() {
            let arrival = match arrivals.try_recv() {
                Ok(arrival) => Ok(arrival),
                Err(TryRecvError::Disconnected) => return,
                Err(TryRecvError::Empty) => {
                    if outbox.flush().is_err() {
                        return;
                    }
                    arrivals.recv_timeout(GLANCE)
                }
            };
            let arrival = match arrival {
                Ok(arrival) => arrival,
                Err(RecvTimeoutError::Timeout) => continue,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            let entry = entry(&arrival);
            let mut ledger = self.ledger.lock();
            ledger.lines += 1;
            match self.mapping.requests(&entry, &mut made) {
                Ok(()) => ledger.requests += made.len() as u64,
                Err(left) => left.note(&mut ledger, format!("{} {}", entry.method, entry.target).as_bytes()),
            }
            drop(ledger);
            let due_ns = u64::try_from(arrival.at.saturating_duration_since(self.epoch).as_nanos()).unwrap_or(u64::MAX);
            for made in made.drain(..) {
                let job = Job { due_ns, user: made.user, key: made.key, kind: made.kind, bytes: made.bytes };
                if outbox.push(job).is_err() {
                    return;
                }
            }
        }
    }

    fn over(&self) -> bool {
        self.stop.load(Ordering::Relaxed) || self.until.is_some_and(|until| Instant::now() >= until)
    }
}

/// A mirrored request as if it had been logged. Its client is whom the source names, else the source.
fn entry(arrival: &Arrival) -> Entry<'_> {
    let headers =
        arrival.headers.iter().filter_map(|(name, value)| Some((name.as_str().into(), value.to_str().ok()?.into())));
    let named = ["x-real-ip", "x-forwarded-for"].into_iter().find_map(|name| arrival.headers.get(name)?.to_str().ok());
    let client = match named.and_then(|value| value.split(',').next()) {
        Some(client) => client.trim().into(),
        None => arrival.peer.ip().to_string().into(),
    };
    Entry {
        method: arrival.method.as_str().into(),
        target: arrival.uri.path_and_query().map_or("/", |target| target.as_str()).into(),
        client,
        headers: headers.collect(),
        body: (&*arrival.body).into(),
        ..Entry::default()
    }
}
