//! The connections to one target, and who waits for one.

use super::connection::{Connection, Event, Flight};
use super::poller::Poller;
use super::stats::Stats;
use super::{Job, Kind, Lost};
use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::rc::Rc;

/// Pause before a target that refused is asked again.
const BACK_OFF_NS: u64 = 50_000_000;
/// Requests that may wait for a connection; those beyond are given up.
const WAITING: usize = 50_000;

/// Connections that are open when a run begins.
const WARM: usize = 4;

/// A target and the most connections to it.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    /// As it was given.
    pub(crate) name: String,
    pub(crate) address: SocketAddr,
    pub(crate) connections: usize,
}

/// What came of a request.
pub(super) struct Outcome {
    pub(super) pool: usize,
    pub(super) job: Rc<Job>,
    pub(super) answer: Result<(u16, Vec<u8>), Lost>,
}

pub(super) struct Pool {
    pub(super) number: usize,
    pub(super) target: Target,
    pub(super) stats: Stats,
    /// When anything was answered last.
    pub(super) last_answer_ns: u64,
    connections: Vec<Option<Connection>>,
    vacant: Vec<usize>,
    free: Vec<usize>,
    opening: usize,
    not_before_ns: u64,
    waiting: VecDeque<Rc<Job>>,
    /// Where each user's request is on its way.
    users: HashMap<u64, usize>,
    timeout_ns: u64,
}

impl Pool {
    pub(super) fn new(number: usize, target: Target, timeout_ns: u64, stats: Stats) -> Self {
        let most = target.connections;
        Self {
            number,
            target,
            stats,
            last_answer_ns: 0,
            connections: (0..most).map(|_| None).collect(),
            vacant: (0..most).rev().collect(),
            free: Vec::with_capacity(most),
            opening: 0,
            not_before_ns: 0,
            waiting: VecDeque::new(),
            users: HashMap::new(),
            timeout_ns,
        }
    }

    /// Whether nothing is on its way or waiting.
    pub(super) fn is_quiet(&self) -> bool {
        self.waiting.is_empty() && self.in_flight() == 0
    }

    pub(super) fn in_flight(&self) -> usize {
        self.connections.len() - self.vacant.len() - self.free.len() - self.opening
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// A request is due: it goes at once, or waits for its user's last one or for a connection.
    pub(super) fn submit(&mut self, job: Rc<Job>, poller: &Poller, now_ns: u64, out: &mut Vec<Outcome>) {
        self.stats.asked(job.due_ns, job.kind != Kind::Event);
        if let Some(connection) = self.of_user(&job) {
            connection.own.push_back(job);
        } else if let Some(index) = self.free.pop() {
            self.send(index, job, poller, now_ns, out);
        } else if self.waiting.len() >= WAITING {
            self.lose(job, Lost::Dropped, now_ns, out);
        } else {
            self.waiting.push_back(job);
            self.open(poller, now_ns);
        }
    }

    /// Opens a few connections before anybody waits for them.
    pub(super) fn warm(&mut self, poller: &Poller) {
        self.open_up_to(WARM, poller, 0);
    }

    /// Opens connections, without waiting for them, while more requests wait than are being opened.
    pub(super) fn open(&mut self, poller: &Poller, now_ns: u64) {
        self.open_up_to(self.waiting.len(), poller, now_ns);
    }

    fn open_up_to(&mut self, wanted: usize, poller: &Poller, now_ns: u64) {
        while wanted > self.opening && now_ns >= self.not_before_ns {
            let Some(index) = self.vacant.pop() else { return };
            let token = (self.number as u64) << 32 | index as u64;
            match Connection::open(self.target.address, poller, token, now_ns) {
                Ok(connection) => {
                    self.connections[index] = Some(connection);
                    self.opening += 1;
                }
                Err(error) => self.refuse(index, &error, now_ns),
            }
        }
    }

    /// A socket changed.
    pub(super) fn ready(
        &mut self,
        index: usize,
        scratch: &mut [u8],
        poller: &Poller,
        now_ns: u64,
        out: &mut Vec<Outcome>,
    ) {
        // A connection that was closed may still have an event in the batch.
        let Some(connection) = self.connections.get_mut(index).and_then(Option::as_mut) else { return };
        let event = connection.ready(scratch);
        self.follow(index, event, poller, now_ns, out);
    }

    /// Gives up what has waited too long, and opens connections that are wanted.
    pub(super) fn sweep(&mut self, poller: &Poller, now_ns: u64, out: &mut Vec<Outcome>) {
        let over = now_ns.saturating_sub(self.timeout_ns);
        for index in 0..self.connections.len() {
            let Some(connection) = &mut self.connections[index] else { continue };
            if connection.flight().is_some_and(|flight| flight.sent_ns < over) {
                let event = connection.fail(Lost::TimedOut);
                self.follow(index, event, poller, now_ns, out);
            } else if connection.is_opening() && connection.since_ns < over {
                let slow = std::io::Error::new(std::io::ErrorKind::TimedOut, "no connection in time");
                self.follow(index, Event::Refused(slow), poller, now_ns, out);
            } else {
                while let Some(job) = connection.own.pop_front_if(|job| job.due_ns < over) {
                    self.stats.lost(Lost::NeverSent, job.due_ns, now_ns);
                    out.push(Outcome { pool: self.number, job, answer: Err(Lost::NeverSent) });
                }
            }
        }
        while let Some(job) = self.waiting.pop_front_if(|job| job.due_ns < over) {
            self.lose(job, Lost::NeverSent, now_ns, out);
        }
        self.open(poller, now_ns);
    }

    /// Ends everything that is on its way or waiting.
    pub(super) fn cut_off(&mut self, now_ns: u64, out: &mut Vec<Outcome>) {
        for index in 0..self.connections.len() {
            let Some(mut connection) = self.connections[index].take() else { continue };
            if let Event::Failed(flight, why) = connection.fail(Lost::CutOff) {
                self.lose(flight.job, why, now_ns, out);
            }
            for job in connection.own {
                self.lose(job, Lost::CutOff, now_ns, out);
            }
        }
        for job in std::mem::take(&mut self.waiting) {
            self.lose(job, Lost::CutOff, now_ns, out);
        }
        self.stats.close_second();
    }

    fn follow(&mut self, index: usize, event: Event, poller: &Poller, now_ns: u64, out: &mut Vec<Outcome>) {
        match event {
            Event::Waiting => {}
            Event::Opened => {
                self.opening -= 1;
                self.next(index, poller, now_ns, out);
            }
            Event::Refused(error) => {
                self.opening -= 1;
                self.refuse(index, &error, now_ns);
            }
            Event::Ended => {
                self.free.retain(|free| *free != index);
                self.drop_connection(index);
            }
            Event::Answered(flight) => self.answered(index, flight, poller, now_ns, out),
            Event::Failed(flight, why) => {
                self.users.remove(&flight.job.user);
                // Its user's next requests go on elsewhere, in their order and before others.
                let own = self.connections[index].as_mut().map(|c| std::mem::take(&mut c.own)).unwrap_or_default();
                for job in own.into_iter().rev() {
                    self.waiting.push_front(job);
                }
                self.drop_connection(index);
                self.lose(flight.job, why, now_ns, out);
                self.open(poller, now_ns);
            }
        }
    }

    fn answered(&mut self, index: usize, flight: Flight, poller: &Poller, now_ns: u64, out: &mut Vec<Outcome>) {
        let Some(connection) = self.connections[index].as_mut() else { return };
        let (status, body) = (connection.incoming.status, std::mem::take(&mut connection.incoming.body));
        let reusable = connection.incoming.reusable;
        self.last_answer_ns = now_ns;
        self.stats.answered(status, flight.job.due_ns, flight.sent_ns, now_ns);
        self.users.remove(&flight.job.user);
        out.push(Outcome { pool: self.number, job: flight.job, answer: Ok((status, body)) });
        if reusable {
            self.next(index, poller, now_ns, out);
            return;
        }
        let own = std::mem::take(&mut connection.own);
        for job in own.into_iter().rev() {
            self.waiting.push_front(job);
        }
        self.drop_connection(index);
        self.open(poller, now_ns);
    }

    /// A connection is free for whoever is next.
    fn next(&mut self, index: usize, poller: &Poller, now_ns: u64, out: &mut Vec<Outcome>) {
        let Some(connection) = self.connections[index].as_mut() else { return };
        connection.since_ns = now_ns;
        if let Some(job) = connection.own.pop_front() {
            self.send(index, job, poller, now_ns, out);
            return;
        }
        while let Some(job) = self.waiting.pop_front() {
            match self.of_user(&job) {
                Some(busy) => busy.own.push_back(job),
                None => {
                    self.send(index, job, poller, now_ns, out);
                    return;
                }
            }
        }
        self.free.push(index);
    }

    fn send(&mut self, index: usize, job: Rc<Job>, poller: &Poller, now_ns: u64, out: &mut Vec<Outcome>) {
        let Some(connection) = self.connections[index].as_mut() else { return };
        if job.user != 0 {
            self.users.insert(job.user, index);
        }
        let lag = now_ns.saturating_sub(job.due_ns.max(connection.since_ns));
        let paced = job.kind != Kind::Event;
        let event = connection.send(job, now_ns);
        self.stats.sent(now_ns, lag, paced);
        self.follow(index, event, poller, now_ns, out);
    }

    fn of_user(&mut self, job: &Job) -> Option<&mut Connection> {
        let index = *self.users.get(&job.user)?;
        self.connections.get_mut(index)?.as_mut()
    }

    fn refuse(&mut self, index: usize, error: &std::io::Error, now_ns: u64) {
        self.stats.refused = Some(error.to_string());
        self.not_before_ns = now_ns + BACK_OFF_NS;
        self.drop_connection(index);
    }

    fn drop_connection(&mut self, index: usize) {
        self.connections[index] = None;
        self.vacant.push(index);
    }

    fn lose(&mut self, job: Rc<Job>, why: Lost, now_ns: u64, out: &mut Vec<Outcome>) {
        self.stats.lost(why, job.due_ns, now_ns);
        out.push(Outcome { pool: self.number, job, answer: Err(why) });
    }
}
