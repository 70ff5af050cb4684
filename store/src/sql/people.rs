//! People and their sessions.

use super::{Database, moment, moments, storable};
use crate::{NewSession, People, Person, PersonChange, Result, Role, Session, StoreError};
use async_trait::async_trait;
use jiff::Timestamp;
use sqlx::AssertSqlSafe;

const COLUMNS: &str = "id, name, role, password, people.generation, people.created_at, disabled_at";

#[derive(sqlx::FromRow)]
struct PersonRow {
    id: i64,
    name: String,
    role: String,
    password: String,
    generation: i64,
    created_at: i64,
    disabled_at: Option<i64>,
}

#[derive(sqlx::FromRow)]
struct SessionRow {
    #[sqlx(flatten)]
    person: PersonRow,
    csrf: String,
    used_at: i64,
}

fn person(row: PersonRow) -> Result<(Person, String)> {
    let role = Role::parse(&row.role).ok_or_else(|| StoreError::Damaged(format!("role '{}' of a person", row.role)))?;
    let person = Person {
        id: row.id,
        name: row.name,
        role,
        generation: row.generation,
        created_at: moment(row.created_at)?,
        disabled_at: moments(row.disabled_at)?,
    };
    Ok((person, row.password))
}

#[async_trait]
impl People for Database {
    async fn add_person(&self, name: &str, role: Role, password: &str, at: Timestamp) -> Result<Person> {
        let sql = format!(
            "INSERT INTO people (name, role, password, generation, created_at) VALUES ($1, $2, $3, 1, $4)
             ON CONFLICT (name) DO NOTHING RETURNING {COLUMNS}"
        );
        let row = on!(self.pool(), db => {
            sqlx::query_as(AssertSqlSafe(sql))
                .bind(&*storable(name))
                .bind(role.as_str())
                .bind(password)
                .bind(at.as_millisecond())
                .fetch_optional(db)
                .await?
        });
        let row = row.ok_or_else(|| StoreError::Conflict(format!("there is somebody called '{name}' already")))?;
        Ok(person(row)?.0)
    }

    async fn list_people(&self) -> Result<Vec<Person>> {
        let sql = format!("SELECT {COLUMNS} FROM people ORDER BY id");
        let rows = on!(self.pool(), db => sqlx::query_as(AssertSqlSafe(sql)).fetch_all(db).await?);
        rows.into_iter().map(|row| Ok(person(row)?.0)).collect()
    }

    async fn anybody(&self) -> Result<bool> {
        Ok(on!(self.pool(), db => sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM people)").fetch_one(db).await?))
    }

    async fn person(&self, name: &str) -> Result<Option<(Person, String)>> {
        let sql = format!("SELECT {COLUMNS} FROM people WHERE name = $1");
        let name = storable(name);
        let row = on!(self.pool(), db => sqlx::query_as(AssertSqlSafe(sql)).bind(&*name).fetch_optional(db).await?);
        row.map(person).transpose()
    }

    async fn change_person(&self, name: &str, change: &PersonChange) -> Result<()> {
        // Sessions belong to a generation: with the next one all have ended, also one that is about to begin.
        let sql = match change {
            PersonChange::Disable(_) => {
                "UPDATE people SET disabled_at = coalesce(disabled_at, $2), generation = generation + 1 WHERE name = $1"
            }
            PersonChange::Enable => "UPDATE people SET disabled_at = NULL WHERE name = $1",
            PersonChange::Role(_) => "UPDATE people SET role = $2 WHERE name = $1",
            PersonChange::Password(_) => "UPDATE people SET password = $2, generation = generation + 1 WHERE name = $1",
        };
        let name = storable(name);
        let found = on!(self.pool(), db => {
            let query = sqlx::query(sql).bind(&*name);
            let query = match change {
                PersonChange::Disable(at) => query.bind(at.as_millisecond()),
                PersonChange::Enable => query,
                PersonChange::Role(role) => query.bind(role.as_str()),
                PersonChange::Password(hash) => query.bind(hash),
            };
            query.execute(db).await?.rows_affected()
        });
        if found == 0 { Err(StoreError::Missing(format!("a person called '{name}'"))) } else { Ok(()) }
    }

    async fn open_session(&self, session: &NewSession<'_>) -> Result<bool> {
        let at = session.at.as_millisecond();
        let opened = on!(self.pool(), db => {
            sqlx::query("DELETE FROM sessions WHERE ends_at <= $1").bind(at).execute(db).await?;
            sqlx::query(
                "INSERT INTO sessions (token, person, generation, csrf, created_at, used_at, ends_at)
                 SELECT $1, id, generation, $4, $5, $5, $6 FROM people
                 WHERE id = $2 AND generation = $3 AND disabled_at IS NULL",
            )
            .bind(&session.token[..])
            .bind(session.person.id)
            .bind(session.person.generation)
            .bind(session.csrf)
            .bind(at)
            .bind(session.ends_at.as_millisecond())
            .execute(db)
            .await?
            .rows_affected()
        });
        Ok(opened > 0)
    }

    async fn session(&self, token: &[u8; 32], now: Timestamp, unused_since: Timestamp) -> Result<Option<Session>> {
        let sql = format!(
            "SELECT {COLUMNS}, csrf, used_at FROM sessions JOIN people ON id = person
             WHERE token = $1 AND ends_at > $2 AND used_at > $3
               AND sessions.generation = people.generation AND disabled_at IS NULL"
        );
        let row: Option<SessionRow> = on!(self.pool(), db => {
            sqlx::query_as(AssertSqlSafe(sql))
                .bind(&token[..])
                .bind(now.as_millisecond())
                .bind(unused_since.as_millisecond())
                .fetch_optional(db)
                .await?
        });
        row.map(|row| Ok(Session { person: person(row.person)?.0, csrf: row.csrf, used_at: moment(row.used_at)? }))
            .transpose()
    }

    async fn use_session(&self, token: &[u8; 32], at: Timestamp) -> Result<()> {
        on!(self.pool(), db => {
            sqlx::query("UPDATE sessions SET used_at = $2 WHERE token = $1 AND used_at < $2")
                .bind(&token[..])
                .bind(at.as_millisecond())
                .execute(db)
                .await?;
        });
        Ok(())
    }

    async fn close_session(&self, token: &[u8; 32]) -> Result<()> {
        on!(self.pool(), db => {
            sqlx::query("DELETE FROM sessions WHERE token = $1").bind(&token[..]).execute(db).await?;
        });
        Ok(())
    }
}
