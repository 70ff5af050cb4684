//! The peer: an axum handler that reads the same request and returns the same answer, and does nothing else.

use crate::Outcome;
use axum::routing::post;
use axum::{Json, Router};
use bandit::DecideRequest;
use serde::Serialize;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

/// With this argument the bench is the bare server.
pub(crate) const ARGUMENT: &str = "bare-server";

#[derive(Serialize)]
struct Answer {
    decision_id: &'static str,
    experiment: String,
    arm: &'static str,
    payload: Payload,
    first: bool,
    day: &'static str,
    segment: &'static str,
    propensity: f64,
    posterior_version: u64,
    source: &'static str,
}

#[derive(Serialize)]
struct Payload {
    layout: &'static str,
}

async fn decide(Json(request): Json<DecideRequest>) -> Json<Answer> {
    Json(Answer {
        decision_id: "5c9f1c3a0d5b4f0e8a7c6b5d4e3f2a1b",
        experiment: request.experiment,
        arm: "b",
        payload: Payload { layout: "b" },
        first: false,
        day: "2026-11-21",
        segment: "device=mobile",
        propensity: 0.3712,
        posterior_version: 42,
        source: "policy",
    })
}

/// Serves until the parent is gone, on the same kind of runtime as the real server.
pub(crate) fn serve() -> Outcome<()> {
    std::thread::spawn(|| {
        // Nothing is ever written: the end of input is the parent's.
        let _ = std::io::stdin().read(&mut [0]);
        std::process::exit(0);
    });
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        println!("{}", listener.local_addr()?);
        axum::serve(listener, Router::new().route("/v1/decide", post(decide))).await?;
        Ok(())
    })
}

/// The bare server as a child, ended when it is dropped.
pub(crate) struct Bare {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Bare {
    pub(crate) fn start() -> Outcome<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        let mut child = command.arg(ARGUMENT).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        let read = child.stdout.take().map(|out| BufReader::new(out).read_line(&mut line));
        match (read, line.trim().parse()) {
            (Some(Ok(_)), Ok(address)) => Ok(Self { child, address }),
            _ => {
                let _ = child.kill();
                let _ = child.wait();
                Err("the bare server does not start".into())
            }
        }
    }

    pub(crate) fn cpu(&self) -> Outcome<std::time::Duration> {
        crate::server::cpu(self.child.id())
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
