//! Catalogs and views in Bigtable are not built yet.

use super::Bigtable;
use crate::{Catalog, CatalogChange, Catalogs, Popular, Result, Seen, StoreError, View, Views};
use async_trait::async_trait;
use recommend::Item;

fn lacking() -> StoreError {
    StoreError::Remote { service: "Bigtable", why: "catalogs and views are not kept there yet".into() }
}

#[async_trait]
impl Catalogs for Bigtable {
    async fn catalogs(&self) -> Result<Vec<Catalog>> {
        Err(lacking())
    }
    async fn put_catalog(&self, _: &Catalog) -> Result<u64> {
        Err(lacking())
    }
    async fn remove_catalog(&self, _: &str) -> Result<Option<u64>> {
        Err(lacking())
    }
    async fn put_items(&self, _: &str, _: &[Item]) -> Result<u64> {
        Err(lacking())
    }
    async fn remove_items(&self, _: &str, _: &[String]) -> Result<u64> {
        Err(lacking())
    }
    async fn items(&self, _: &str, _: &[String]) -> Result<Vec<Option<Item>>> {
        Err(lacking())
    }
    async fn page_of_items(&self, _: &str, _: Option<&str>, _: usize) -> Result<Vec<Item>> {
        Err(lacking())
    }
    async fn last_change(&self) -> Result<u64> {
        Err(lacking())
    }
    async fn changes_since(&self, _: u64, _: usize) -> Result<Option<Vec<CatalogChange>>> {
        Err(lacking())
    }
    async fn changed(&self, _: u64) {}
    async fn put_popular(&self, _: &str, _: &[Popular]) -> Result<u64> {
        Err(lacking())
    }
    async fn popular(&self, _: &str) -> Result<Vec<Popular>> {
        Err(lacking())
    }
}

#[async_trait]
impl Views for Bigtable {
    async fn append(&self, _: &[View]) -> Result<()> {
        Err(lacking())
    }
    async fn recent(&self, _: &str, _: usize) -> Result<Vec<Seen>> {
        Err(lacking())
    }
    async fn forget_views(&self, _: &str) -> Result<()> {
        Err(lacking())
    }
}
