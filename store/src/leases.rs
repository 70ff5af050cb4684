//! Who may do what only one process at a time may do.

use crate::Result;
use async_trait::async_trait;
use std::time::Duration;

/// Leases by name. The database's clock counts, so that replicas whose clocks differ agree.
#[async_trait]
pub trait Leases: Send + Sync {
    /// Takes or renews a lease from now on; false while another holds it. All who ask for it name the same length: a lease that
    /// ends much later than that was taken before the clock was set back, and is free.
    async fn hold(&self, lease: &str, holder: &str, length: Duration) -> Result<bool>;

    /// Who holds a lease, if anybody does.
    async fn holder(&self, lease: &str) -> Result<Option<String>>;

    /// Gives a lease back; nothing happens if another holds it.
    async fn release(&self, lease: &str, holder: &str) -> Result<()>;
}
