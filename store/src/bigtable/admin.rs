//! Making the tables, and looking at them.

use super::channels::{Channels, routing};
use super::client::{Patience, Table, until_done};
use super::probe::PROBE;
use super::schema::{FamilySpec, Kept, TABLES, TableSpec};
use super::{Bigtable, failure, setting};
use crate::Result;
use crate::admin::Finding;
use crate::locations::{InProject, Locations};
use api::bigtable_table_admin_client::BigtableTableAdminClient;
use api::gc_rule::Rule;
use api::modify_column_families_request::{Modification, modification::Mod};
use googleapis_tonic_google_bigtable_admin_v2::google::bigtable::admin::v2 as api;
use std::collections::HashMap;
use std::time::Duration;
use tonic::{Code, Status};

const HOST: &str = "bigtableadmin.googleapis.com";

/// Making a table takes seconds.
const PATIENCE: Patience = Patience { each: Duration::from_secs(30), all: Duration::from_secs(90) };

/// Makes missing tables and families and sets other rules of collection right. Families that it does not know stay.
pub(crate) async fn create_tables(instance: &InProject, locations: &Locations) -> Result<Vec<String>> {
    let failed = |status: Status| match failure::remedy(&status) {
        Some(_) => setting(locations, &status),
        None => failure::remote(&status),
    };
    let admin = Admin::connect(instance, locations).map_err(failed)?;
    let mut lines = Vec::new();
    for spec in TABLES {
        lines.push(admin.make(spec).await.map_err(failed)?);
    }
    Ok(lines)
}

/// Looks at credentials, tables, families and their rules, and whether data can be read and written.
pub(crate) async fn check_state(instance: &InProject, locations: &Locations) -> Result<Vec<Finding>> {
    let connected = async {
        let (admin, data) = (Admin::connect(instance, locations)?, Bigtable::connect(instance, locations)?);
        until_done(PROBE, |_, _| admin.channels.token()).await?;
        Ok((admin, data))
    };
    let (admin, data) = match connected.await {
        Ok(connected) => connected,
        // Without them nothing else can be seen.
        Err(status) => return Ok(vec![finding("credentials", Err(status))]),
    };
    let credentials = match &locations.bigtable_emulator {
        Some(address) => format!("none are needed for the emulator at {address}"),
        None => "Application Default Credentials give a token".into(),
    };
    let mut findings = vec![finding("credentials", Ok(credentials))];
    for spec in TABLES {
        findings.extend(admin.look(spec).await);
    }
    let used = data.probe().await.map(|denied| match &denied[..] {
        [] => "every table can be read and conditionally written".into(),
        denied => format!("{}: right if its role need not", denied.join("; ")),
    });
    findings.push(finding("permissions and app profile", used));
    Ok(findings)
}

fn finding(part: impl Into<String>, found: std::result::Result<String, Status>) -> Finding {
    let part = part.into();
    match found {
        Ok(detail) => Finding { part, ok: true, detail },
        Err(status) => Finding { part, ok: false, detail: failure::line_and_remedy(&status) },
    }
}

/// Calls of the service that makes tables.
pub(super) struct Admin<'a> {
    channels: Channels,
    instance: &'a InProject,
}

impl<'a> Admin<'a> {
    pub(super) fn connect(instance: &'a InProject, locations: &Locations) -> std::result::Result<Self, Status> {
        Ok(Self { channels: Channels::new(HOST, locations.bigtable_emulator.as_deref(), 1)?, instance })
    }

    /// Makes a table or what it lacks, and says what it did.
    pub(super) async fn make(&self, spec: &TableSpec) -> std::result::Result<String, Status> {
        let id = spec.id;
        match self.create(spec).await {
            Ok(()) => {
                let families: Vec<_> = spec.families.iter().map(|f| f.id).collect();
                return Ok(format!("table '{id}' made, with families {}", families.join(" and ")));
            }
            Err(status) if status.code() == Code::AlreadyExists => {}
            Err(status) => return Err(status),
        }
        let found = self.families(spec).await?;
        let (mut modifications, mut did) = (Vec::new(), Vec::new());
        for family in spec.families {
            let kept = Some(column_family(*family));
            let (change, what) = match found.get(family.id) {
                None => (kept.map(Mod::Create), format!("family '{}' made", family.id)),
                Some(now) if now.gc_rule == rule(family.kept) => continue,
                Some(_) => (kept.map(Mod::Update), format!("collection of family '{}' set right", family.id)),
            };
            modifications.push(Modification { id: family.id.into(), r#mod: change, update_mask: None });
            did.push(what);
        }
        if modifications.is_empty() {
            return Ok(format!("table '{id}' exists"));
        }
        let name = Table::new(self.instance, spec).name().to_owned();
        let message = api::ModifyColumnFamiliesRequest { name: name.clone(), modifications, ignore_warnings: false };
        let (message, routing) = (&message, &routing(&[("name", &name)]));
        until_done(PATIENCE, |_, deadline| async move {
            let request = self.channels.request(message.clone(), routing, deadline).await?;
            self.service().modify_column_families(request).await
        })
        .await?;
        Ok(format!("table '{id}' exists; {}", did.join("; ")))
    }

    async fn create(&self, spec: &TableSpec) -> std::result::Result<(), Status> {
        let parent = format!("projects/{}/instances/{}", self.instance.project, self.instance.name);
        let column_families = spec.families.iter().map(|f| (f.id.to_owned(), column_family(*f))).collect();
        let message = api::CreateTableRequest {
            parent: parent.clone(),
            table_id: spec.id.into(),
            table: Some(api::Table { column_families, ..api::Table::default() }),
            initial_splits: Vec::new(),
        };
        let (message, routing) = (&message, &routing(&[("parent", &parent)]));
        until_done(PATIENCE, |_, deadline| async move {
            let request = self.channels.request(message.clone(), routing, deadline).await?;
            self.service().create_table(request).await.map(|_| ())
        })
        .await
    }

    async fn families(&self, spec: &TableSpec) -> std::result::Result<HashMap<String, api::ColumnFamily>, Status> {
        let name = Table::new(self.instance, spec).name().to_owned();
        let message = api::GetTableRequest { name: name.clone(), view: api::table::View::SchemaView.into() };
        let (message, routing) = (&message, &routing(&[("name", &name)]));
        until_done(PATIENCE, |_, deadline| async move {
            let request = self.channels.request(message.clone(), routing, deadline).await?;
            Ok(self.service().get_table(request).await?.into_inner().column_families)
        })
        .await
    }

    /// What is there of a table and what is not.
    async fn look(&self, spec: &TableSpec) -> Vec<Finding> {
        let table = format!("table '{}'", spec.id);
        let found = match self.families(spec).await {
            Ok(found) => found,
            Err(status) => return vec![finding(table, Err(status))],
        };
        let families = spec.families.iter().map(|family| {
            let part = format!("{table}, family '{}'", family.id);
            let state = match found.get(family.id) {
                None => Err("it is missing"),
                Some(now) if now.gc_rule != rule(family.kept) => Err("its rule of collection is another"),
                Some(_) => Ok(kept(family.kept)),
            };
            let detail = state.clone().unwrap_or_else(|what| format!("{what}: run 'croupier admin create-tables'"));
            Finding { part, ok: state.is_ok(), detail }
        });
        std::iter::once(finding(table.clone(), Ok("it exists".into()))).chain(families).collect()
    }

    fn service(&self) -> BigtableTableAdminClient<tonic::transport::Channel> {
        BigtableTableAdminClient::new(self.channels.next())
    }
}

fn kept(kept: Kept) -> String {
    match kept {
        Kept::LastVersion => "kept until it is removed".into(),
        Kept::For(age) => format!("collected after {} days", age.as_secs() / (24 * 3600)),
        Kept::LastFor(age) => format!("the last is kept, and collected after {} days", age.as_secs() / (24 * 3600)),
    }
}

fn column_family(family: FamilySpec) -> api::ColumnFamily {
    api::ColumnFamily { gc_rule: rule(family.kept), ..api::ColumnFamily::default() }
}

fn rule(kept: Kept) -> Option<api::GcRule> {
    let older = |age: Duration| age.try_into().ok().map(Rule::MaxAge);
    let rule = match kept {
        Kept::LastVersion => Some(Rule::MaxNumVersions(1)),
        Kept::For(age) => older(age),
        Kept::LastFor(age) => {
            let rules = [Some(Rule::MaxNumVersions(1)), older(age)].map(|rule| api::GcRule { rule });
            Some(Rule::Union(api::gc_rule::Union { rules: rules.into() }))
        }
    };
    Some(api::GcRule { rule })
}
