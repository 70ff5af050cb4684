//! `croupier backup` and `croupier restore`: the stores on this machine's disk as one file, and back.

use crate::admin::server_url;
use crate::cli::Failure;
use crate::settings::Settings;
use clap::Args;
use reqwest::Client;
use serde_json::Value;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use store::{Standing, StoreError};

#[derive(Debug, Args)]
pub(crate) struct BackupArgs {
    /// The file to make
    file: PathBuf,
    /// An admin key, if the server asks for keys
    #[arg(long, env = "CROUPIER_KEY", value_name = "KEY", hide_env_values = true)]
    key: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct RestoreArgs {
    /// The file to read
    file: PathBuf,
}

/// Makes a backup: by the server that has the stores open, or, if none has, itself.
pub(crate) async fn back_up(args: &BackupArgs, settings: &Settings) -> Result<(), Failure> {
    let file = &args.file;
    if file.exists() {
        return Err(Failure::unusable("FILE", &file.display().to_string(), "is there already: name another"));
    }
    let (standing, directory) = store::standing(&settings.locations)?;
    let partial = partial_of(file);
    let made = match standing {
        Standing::Nothing => {
            let why = "nothing is kept there: name the server's directory";
            return Err(Failure::unusable("data", &directory.display().to_string(), why));
        }
        Standing::AtRest => copy(settings, &partial).await,
        Standing::InUse => receive(settings, args.key.as_deref(), &partial).await,
    };
    let kept = made.and_then(|()| keep(&partial, file, &directory));
    if kept.is_err() {
        // What went wrong is told; a part of a backup is of no use.
        let _ = std::fs::remove_file(&partial);
    }
    println!("{}", kept?);
    Ok(())
}

/// Reads the whole of what came, and gives it its name once it is right and safe.
fn keep(partial: &Path, file: &Path, directory: &Path) -> Result<String, Failure> {
    let (about, counts) = store::read_about(partial)?;
    if Path::new(&about.directory) != directory {
        let why = format!("the server has '{}' open, not this: name its address by 'listen'", about.directory);
        return Err(Failure::unusable("data", &directory.display().to_string(), &why));
    }
    let safe = File::open(partial).and_then(|f| f.sync_all()).and_then(|()| std::fs::rename(partial, file));
    safe.map_err(|e| unwritable(file, &e))?;
    Ok(format!(
        "{} is a backup of {}: {} pairs of the state and the log, {} bytes of the database",
        file.display(),
        directory.display(),
        counts.pairs,
        counts.database_bytes
    ))
}

async fn copy(settings: &Settings, partial: &Path) -> Result<(), Failure> {
    let out = create(partial)?;
    let stores = store::open(&settings.locations).await?;
    let elsewhere = || StoreError::Backup("what is kept is not all on this machine's disk".into());
    let backup: Arc<_> = stores.backup.clone().ok_or_else(elsewhere)?;
    let turn = backup.turn()?;
    backup.write(turn, std::io::BufWriter::new(out)).await?;
    crate::serve::close(&stores).await;
    Ok(())
}

async fn receive(settings: &Settings, key: Option<&str>, partial: &Path) -> Result<(), Failure> {
    let url = server_url(settings, "/v1/backup");
    let broken = |e: reqwest::Error| {
        let why = e.without_url();
        Failure::Failed(format!(
            "a process has the stores open, and {url} does not answer: {why}; name its address by 'listen'"
        ))
    };
    let mut request = Client::new().post(&url);
    if let Some(key) = key {
        request = request.bearer_auth(key);
    }
    let mut answer = request.send().await.map_err(broken)?;
    if !answer.status().is_success() {
        let status = answer.status();
        let problem: Value = answer.json().await.unwrap_or_default();
        let detail = problem["detail"].as_str().unwrap_or("without a reason");
        return Err(Failure::Failed(format!("{url} answers {status}: {detail}")));
    }
    let mut out = create(partial)?;
    while let Some(piece) = answer.chunk().await.map_err(broken)? {
        out.write_all(&piece).map_err(|e| unwritable(partial, &e))?;
    }
    Ok(())
}

fn create(file: &Path) -> Result<File, Failure> {
    File::create(file).map_err(|e| unwritable(file, &e))
}

fn unwritable(file: &Path, e: &std::io::Error) -> Failure {
    Failure::Failed(format!("{} cannot be written: {e}", file.display()))
}

fn partial_of(file: &Path) -> PathBuf {
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(".part");
    file.with_file_name(name)
}

/// Makes the stores of the settings from a backup, where nothing is yet.
pub(crate) async fn restore(args: &RestoreArgs, settings: &Settings) -> Result<(), Failure> {
    let (about, counts) = store::restore(&settings.locations, &args.file).await?;
    println!(
        "restored what release {} kept in {}: {} pairs of the state and the log, {} bytes of the database",
        about.release, about.directory, counts.pairs, counts.database_bytes
    );
    Ok(())
}
