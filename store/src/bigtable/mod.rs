//! State in Bigtable.

use crate::locations::{InProject, Locations};
use crate::{Assignments, PosteriorSets, Put, Result};
use async_trait::async_trait;
use bandit::{Assignment, AssignmentKey, PosteriorSet};
use jiff::civil::Date;

/// State of one instance.
pub(crate) struct Bigtable;

fn stub<T>() -> Result<T> {
    Err(crate::StoreError::Remote { service: "Bigtable", why: "not there yet".into() })
}

impl Bigtable {
    pub(crate) async fn open(_instance: &InProject, _locations: &Locations) -> Result<Self> {
        stub()
    }
}

#[async_trait]
impl Assignments for Bigtable {
    async fn get(&self, _key: &AssignmentKey) -> Result<Option<Assignment>> {
        stub()
    }
    async fn put_if_absent(&self, _new: &Assignment) -> Result<Put> {
        stub()
    }
    async fn expire(&self, _day: Date) -> Result<()> {
        stub()
    }
    async fn check(&self) -> Result<()> {
        stub()
    }
}

#[async_trait]
impl PosteriorSets for Bigtable {
    async fn latest_version(&self, _experiment: &str) -> Result<u64> {
        stub()
    }
    async fn latest(&self, _experiment: &str) -> Result<Option<PosteriorSet>> {
        stub()
    }
    async fn at(&self, _experiment: &str, _version: u64) -> Result<Option<PosteriorSet>> {
        stub()
    }
    async fn since(&self, _experiment: &str, _version: u64, _limit: usize) -> Result<Vec<PosteriorSet>> {
        stub()
    }
    async fn publish(&self, _set: &PosteriorSet) -> Result<()> {
        stub()
    }
}
