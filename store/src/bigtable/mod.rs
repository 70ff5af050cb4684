//! State in Bigtable, in the tables that `schema` describes.

pub(crate) mod admin;
mod assignments;
mod catalogs;
mod changes;
mod channels;
mod client;
mod expired;
mod failure;
mod items;
mod lists;
mod posteriors;
mod probe;
mod registry;
mod rows;
mod schema;
#[cfg(test)]
mod tests;
mod views;

use crate::locations::{InProject, Locations, public};
use crate::{Result, StoreError};
use catalogs::CatalogTables;
use channels::Channels;
use client::{Client, Table};
use std::sync::Arc;
use tonic::Status;

const HOST: &str = "bigtable.googleapis.com";

/// Connections: 400 calls at once.
const CHANNELS: usize = 4;

/// State of one instance.
pub(crate) struct Bigtable {
    client: Arc<Client>,
    assignments: Table,
    posteriors: Table,
    views: Table,
    catalogs: Arc<CatalogTables>,
}

impl Bigtable {
    /// Opens the state of an instance. If Bigtable is away it opens all the same, so that replicas can start meanwhile
    /// and answer from what they know.
    ///
    /// # Errors
    /// [`StoreError::Setting`] for what no waiting mends: no credentials, no such instance, missing tables or
    /// permissions.
    pub(crate) async fn open(instance: &InProject, locations: &Locations) -> Result<Self> {
        let bigtable = Self::connect(instance, locations).map_err(|e| setting(locations, &e))?;
        match bigtable.probe().await {
            Ok(denied) => {
                for what in denied {
                    tracing::warn!("Bigtable: {what}: right if its role need not, see deploy/cloud-run.md");
                }
            }
            Err(status) if failure::remedy(&status).is_some() => return Err(setting(locations, &status)),
            Err(status) => {
                let line = failure::line(&status);
                tracing::warn!("Bigtable cannot be reached yet: starting without it: {line}");
            }
        }
        Ok(bigtable)
    }

    fn connect(instance: &InProject, locations: &Locations) -> std::result::Result<Self, Status> {
        let channels = Channels::new(HOST, locations.bigtable_emulator.as_deref(), CHANNELS)?;
        let client = Arc::new(Client::new(channels));
        Ok(Self {
            assignments: Table::new(instance, &schema::ASSIGNMENTS),
            posteriors: Table::new(instance, &schema::POSTERIORS),
            views: Table::new(instance, &schema::VIEWS),
            catalogs: Arc::new(CatalogTables::new(client.clone(), instance)),
            client,
        })
    }
}

/// A setting that cannot be used, and what to do about it.
fn setting(locations: &Locations, status: &Status) -> StoreError {
    StoreError::Setting { setting: "state", value: public(&locations.state), reason: failure::line_and_remedy(status) }
}
