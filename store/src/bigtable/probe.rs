//! What a process finds out when it starts: whether everything is there that it will need.

use super::Bigtable;
use super::client::{Patience, Unless, delete_cell, row};
use super::schema::{self, FamilySpec, TableSpec};
use googleapis_tonic_google_bigtable_v2::google::bigtable::v2::row_filter::Filter;
use std::time::Duration;
use tonic::{Code, Status};

/// How long starting waits to learn whether the settings are right.
pub(super) const PROBE: Patience = Patience { each: Duration::from_secs(3), all: Duration::from_secs(5) };

/// What an account may do with a table at most, if not everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum May {
    Nothing,
    Read,
}

impl Bigtable {
    /// Whether everything is there that will be needed, by doing all of it to no effect; which warms every connection,
    /// too. Tells what this account may not do, where some role need not do it.
    pub(super) async fn probe(&self) -> Result<Vec<String>, Status> {
        let tables = [
            (&self.assignments, &schema::ASSIGNMENTS),
            (&self.posteriors, &schema::POSTERIORS),
            (&self.catalogs.registry, &schema::CATALOGS),
            (&self.catalogs.items, &schema::ITEMS),
            (&self.catalogs.log.table, &schema::CHANGES),
            (&self.views, &schema::VIEWS),
        ];
        let probes = tables.map(|(table, spec)| async move {
            let (reads, writes) = futures::future::join(
                self.client.read(table, PROBE, row(b"probe"), Filter::CellsPerColumnLimitFilter(1), 1),
                self.client.change_unless(table, PROBE, harmless(spec)),
            )
            .await;
            judge(spec, reads.map(drop), writes.map(drop))
        });
        let found: Result<Vec<_>, _> = futures::future::join_all(probes).await.into_iter().collect();
        Ok(found?.into_iter().flatten().collect())
    }
}

/// What comes of trying to read and to write a table: a line if it is denied what some role of `deploy/cloud-run.md` does
/// without, a failure for all else. The store is not told for which role it is opened, so a denial that is right for
/// another is only said; each call that needs it fails with the same words.
fn judge(spec: &TableSpec, reads: Result<(), Status>, writes: Result<(), Status>) -> Result<Option<String>, Status> {
    let denied = |result: &Result<(), Status>| matches!(result, Err(e) if e.code() == Code::PermissionDenied);
    let (may, what) = match (denied(&reads), denied(&writes)) {
        (false, false) => return reads.and(writes).map(|()| None),
        (false, true) => (May::Read, "write"),
        (true, _) => (May::Nothing, "read"),
    };
    for result in [reads, writes] {
        match result {
            Err(e) if e.code() != Code::PermissionDenied || !enough(spec, may) => return Err(e),
            _ => {}
        }
    }
    Ok(Some(format!("this account may not {what} the table '{}'", spec.id)))
}

/// Whether some role does no more with a table than this.
fn enough(spec: &TableSpec, may: May) -> bool {
    match may {
        // The updater and the dashboard have no business with assignments; an updater that makes no lists, none with views.
        May::Nothing => [schema::ASSIGNMENTS.id, schema::VIEWS.id].contains(&spec.id),
        // Whoever reads assignments puts them.
        May::Read => spec.id != schema::ASSIGNMENTS.id,
    }
}

/// A change of a row that has no cells, which needs every family and every permission that a real one needs and changes
/// nothing.
fn harmless(spec: &TableSpec) -> Unless {
    let nothing = |family: &FamilySpec| delete_cell(*family, family.qualifier);
    let mutations = spec.families.iter().map(nothing).collect();
    Unless { row_key: b"probe".into(), exists: Filter::BlockAllFilter(true), mutations }
}

#[cfg(test)]
mod tests {
    use super::super::failure;
    use super::*;

    fn denied() -> Result<(), Status> {
        Err(Status::permission_denied("x"))
    }

    /// The accounts of `deploy/cloud-run.md` can start, and are told what they lack.
    #[test]
    fn what_some_role_does_without_is_said() {
        for (spec, reads, writes, line) in [
            (&schema::POSTERIORS, Ok(()), denied(), "may not write the table 'croupier-posteriors'"),
            (&schema::ITEMS, Ok(()), denied(), "may not write the table 'croupier-items'"),
            (&schema::VIEWS, Ok(()), denied(), "may not write the table 'croupier-views'"),
            (&schema::VIEWS, denied(), denied(), "may not read the table 'croupier-views'"),
            (&schema::ASSIGNMENTS, denied(), denied(), "may not read the table 'croupier-assignments'"),
        ] {
            let said = judge(spec, reads, writes).unwrap().unwrap();
            assert!(said.contains(line), "{said}");
        }
        for spec in schema::TABLES {
            assert_eq!(judge(spec, Ok(()), Ok(())).unwrap(), None);
        }
    }

    #[test]
    fn what_no_role_does_without_is_a_failure() {
        for spec in schema::TABLES {
            let refused = judge(spec, denied(), denied()).is_err();
            assert_eq!(refused, ![schema::ASSIGNMENTS.id, schema::VIEWS.id].contains(&spec.id), "{}", spec.id);
            // A denial hides no other failure.
            for other in [Status::not_found("x"), Status::unavailable("x"), Status::failed_precondition("x")] {
                for (reads, writes) in
                    [(Ok(()), Err(other.clone())), (Err(other.clone()), Ok(())), (Err(other.clone()), denied())]
                {
                    let code = judge(spec, reads, writes).unwrap_err().code();
                    assert_eq!(code, other.code(), "{}", spec.id);
                }
            }
        }
        let read_only = judge(&schema::ASSIGNMENTS, Ok(()), denied()).unwrap_err();
        assert!(failure::remedy(&read_only).is_some_and(|r| r.contains("bigtable.user")));
    }
}
