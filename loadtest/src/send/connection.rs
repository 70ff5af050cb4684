//! One kept-alive connection with at most one request on it.

use super::incoming::Incoming;
use super::poller::Poller;
use super::{Job, Kind, Lost};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, connect, socket_with, sockopt};
use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::rc::Rc;

/// A request on its way.
#[derive(Debug)]
pub(super) struct Flight {
    pub(super) job: Rc<Job>,
    pub(super) sent_ns: u64,
}

/// What a change of the socket came to.
pub(super) enum Event {
    /// Nothing yet.
    Waiting,
    /// It is connected and free.
    Opened,
    /// It could not be opened.
    Refused(io::Error),
    /// The answer is whole.
    Answered(Flight),
    /// There will be none.
    Failed(Flight, Lost),
    /// The target closed it while it was free.
    Ended,
}

pub(super) struct Connection {
    stream: TcpStream,
    opening: bool,
    flight: Option<Flight>,
    written: usize,
    pub(super) incoming: Incoming,
    /// Later requests of the user whose request is on its way.
    pub(super) own: VecDeque<Rc<Job>>,
    /// Since when it is free, or when it was asked for.
    pub(super) since_ns: u64,
}

impl Connection {
    /// Begins to open a connection; `token` names its events.
    pub(super) fn open(target: SocketAddr, poller: &Poller, token: u64, now_ns: u64) -> io::Result<Self> {
        let family = if target.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let socket = socket_with(family, SocketType::STREAM, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC, None)?;
        match connect(&socket, &target) {
            Ok(()) | Err(Errno::INPROGRESS) => {}
            Err(error) => return Err(error.into()),
        }
        let stream = TcpStream::from(socket);
        stream.set_nodelay(true)?;
        poller.add(&stream, token)?;
        let (incoming, own) = (Incoming::default(), VecDeque::new());
        Ok(Self { stream, opening: true, flight: None, written: 0, incoming, own, since_ns: now_ns })
    }

    pub(super) fn is_opening(&self) -> bool {
        self.opening
    }

    pub(super) fn flight(&self) -> Option<&Flight> {
        self.flight.as_ref()
    }

    /// Sends what fits into the socket; the rest follows as it drains.
    pub(super) fn send(&mut self, job: Rc<Job>, now_ns: u64) -> Event {
        self.written = 0;
        self.incoming.expect(job.kind == Kind::Decide, job.kind == Kind::Head);
        self.flight = Some(Flight { job, sent_ns: now_ns });
        self.write()
    }

    fn write(&mut self) -> Event {
        while let Some(flight) = &self.flight {
            let rest = &flight.job.bytes[self.written..];
            if rest.is_empty() {
                break;
            }
            match self.stream.write(rest) {
                Ok(n) => self.written += n,
                Err(e) if e.kind() == ErrorKind::WouldBlock => break,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(_) => return self.fail(Lost::Closed),
            }
        }
        Event::Waiting
    }

    /// Looks what changed; reads into `scratch` first.
    pub(super) fn ready(&mut self, scratch: &mut [u8]) -> Event {
        if self.opening {
            match sockopt::socket_error(&self.stream) {
                Ok(Ok(())) => {}
                Ok(Err(error)) | Err(error) => return Event::Refused(error.into()),
            }
            if self.stream.peer_addr().is_err() {
                return Event::Waiting;
            }
            self.opening = false;
            return Event::Opened;
        }
        if let failed @ Event::Failed(..) = self.write() {
            return failed;
        }
        loop {
            match self.stream.read(scratch) {
                Ok(0) if self.flight.is_none() => return Event::Ended,
                Ok(0) if self.incoming.close() => return self.answered(),
                Ok(0) => return self.fail(Lost::Closed),
                // Nobody asked: what comes unbidden would be taken for the next answer.
                Ok(_) if self.flight.is_none() => return Event::Ended,
                Ok(n) => match self.incoming.feed(&scratch[..n]) {
                    Ok(true) => return self.answered(),
                    // A short read has drained the socket: what comes next is a new event.
                    Ok(false) if n < scratch.len() => return Event::Waiting,
                    Ok(false) => {}
                    Err(_) => return self.fail(Lost::NotHttp),
                },
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Event::Waiting,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(_) if self.flight.is_none() => return Event::Ended,
                Err(_) => return self.fail(Lost::Closed),
            }
        }
    }

    /// Takes the request off a connection that is given up.
    pub(super) fn fail(&mut self, why: Lost) -> Event {
        match self.flight.take() {
            Some(flight) => Event::Failed(flight, why),
            None => Event::Ended,
        }
    }

    fn answered(&mut self) -> Event {
        match self.flight.take() {
            Some(flight) => Event::Answered(flight),
            None => Event::Ended,
        }
    }
}
