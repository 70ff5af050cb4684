//! The roles, alone or together in one process.

use crate::beat::Beat;
use crate::cli::Failure;
use crate::clock::SystemClock;
use crate::interruption::{Interruption, notify};
use crate::listen::{self, Bounds};
use crate::settings::Settings;
use crate::{recorder, update};
use api::{Access, App, CatalogsFile, Config};
use axum::Router;
use axum::http::StatusCode;
use axum::response::Redirect;
use axum::routing::get;
use bandit::Clock;
use dashboard::{Door, Identity, Notice};
use embed::Find;
use metrics_exporter_prometheus::PrometheusHandle;
use sd_notify::NotifyState;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use store::{Scope, Shelf, StoreError, Stores};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinError;
use updater::{Pace, Updater};

/// How long requests may take to end after the signal to stop.
const DRAIN: Duration = Duration::from_secs(10);

/// How often it is asked whether a store has closed itself.
const LOOK: Duration = Duration::from_secs(5);

/// What one process does.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Roles {
    api: bool,
    updater: bool,
    dashboard: bool,
}

impl Roles {
    /// Their names.
    fn names(self) -> Vec<String> {
        let all = [(self.api, "api"), (self.updater, "updater"), (self.dashboard, "dashboard")];
        all.into_iter().filter(|(has, _)| *has).map(|(_, name)| name.to_owned()).collect()
    }

    pub(crate) const ALL: Self = Self { api: true, updater: true, dashboard: true };
    pub(crate) const API: Self = Self { api: true, updater: false, dashboard: false };
    pub(crate) const UPDATER: Self = Self { api: false, updater: true, dashboard: false };
    pub(crate) const DASHBOARD: Self = Self { api: false, updater: false, dashboard: true };
}

/// A process that serves: bound, not yet running.
pub(crate) struct Server {
    stores: Stores,
    clock: Arc<dyn Clock>,
    roles: Roles,
    app: Option<Arc<App>>,
    /// The catalogs that pages show, where no API follows them.
    shelf: Option<Arc<Shelf>>,
    /// Where it listens and what it answers there: the public address, and that of administrators if it is another.
    ports: Vec<(TcpListener, Router)>,
    bounds: Bounds,
    recorder: PrometheusHandle,
    updater: updater::Config,
    /// How long it answers on after it says that it is not ready.
    drain: Duration,
    lists_pace: Pace,
    catalogs_file: CatalogsFile,
    models: Arc<dyn Find>,
}

impl Server {
    /// Opens stores and the port; refuses a port that others reach while no admin key exists.
    pub(crate) async fn open(
        settings: &Settings,
        clock: Arc<dyn Clock>,
        roles: Roles,
        notice: Option<Notice>,
    ) -> Result<Self, Failure> {
        // First, since stores say what they find when they are opened.
        let recorder = recorder::install()?;
        let stores = store::open(&settings.locations).await?;
        let listens = roles.api || roles.dashboard;
        // A process that nobody asks anything else may have its measurements read all the same.
        let metrics_listen = settings.metrics_listen.filter(|_| !listens);
        let access = access(settings, listens, &stores).await?;
        let metrics = api::scraped(access.clone(), stores.keys.clone(), clock.clone(), recorder.clone());
        let models = update::models(settings);
        // On one address, that one has all.
        let apart = settings.admin_listen.is_some();
        let (mut public, mut admin) = (Router::new(), Router::new());
        let mut app = None;
        if roles.api {
            let config = Config {
                cached_assignments: settings.cached_assignments,
                catalogs_file: Some(settings.catalogs_file.clone()),
                catalog_bytes: settings.catalog_bytes,
                store_timeout: settings.decide_timeout,
                traced: settings.otlp_endpoint.is_some(),
                access,
                models: Some(models.clone()),
            };
            let opened = App::new(stores.clone(), clock.clone(), config, recorder.clone()).await?;
            if apart {
                api::Routes { public, admin } = api::routes(opened.clone());
            } else {
                admin = api::router(opened.clone());
            }
            app = Some(opened);
        }
        let mut shelf = None;
        if roles.dashboard {
            // Beside an API there is one already, which that follows.
            let known = app
                .as_ref()
                .map_or_else(|| shelf.insert(Arc::new(Shelf::default())).clone(), |app| app.shelf().clone());
            let pages = dashboard::router(stores.clone(), known, clock.clone(), notice, door(settings));
            let pages = pages.route("/", get(|| async { Redirect::temporary("/dashboard") }));
            admin = admin.merge(api::named(api::measured(api::in_turn(pages))));
        }
        if !roles.api {
            let health = Router::new().route("/healthz", get(|| async { "alive" })).merge(readiness(stores.clone()));
            (public, admin) = (public.merge(health.clone()), admin.merge(health).merge(metrics));
        }
        let mut ports = Vec::new();
        if let Some(address) = metrics_listen {
            ports.push((bind("metrics_listen", address).await?, admin));
        } else if listens {
            if let Some(address) = settings.admin_listen {
                ports.push((bind("listen", settings.listen).await?, public));
                ports.push((bind("admin_listen", address).await?, admin));
            } else {
                ports.push((bind("listen", settings.listen).await?, admin));
            }
        }
        let updater = update::config(settings)?;
        Ok(Self {
            stores,
            clock,
            roles,
            app,
            shelf,
            ports,
            bounds: settings.bounds,
            recorder,
            updater,
            drain: if listens { settings.drain } else { Duration::ZERO },
            lists_pace: settings.lists_pace,
            catalogs_file: settings.catalogs_file.clone(),
            models,
        })
    }

    pub(crate) fn stores(&self) -> &Stores {
        &self.stores
    }

    /// Where it listens, the public address first.
    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        self.ports.iter().filter_map(|(listener, _)| listener.local_addr().ok()).collect()
    }

    /// Works until `stop` becomes true: requests end first, then the updater. An updater that ends by itself ends the
    /// process, so that whoever watches it can start it again.
    pub(crate) async fn run(self, stop: watch::Receiver<bool>) -> Result<(), Failure> {
        let beat = Beat {
            stores: self.stores.clone(),
            clock: self.clock.clone(),
            app: self.app.clone(),
            name: self.updater.name.clone(),
            roles: self.roles.names(),
        };
        let beating = tokio::spawn(beat.keep());
        let shelf = self.app.as_ref().map(|app| app.shelf().clone());
        let refreshing = self.app.clone().map(|app| tokio::spawn(app.keep_fresh()));
        let following = self.shelf.map(|shelf| {
            let (catalogs, clock) = (self.stores.catalogs.clone(), self.clock.clone());
            tokio::spawn(async move { shelf.follow(&*catalogs, &*clock).await })
        });
        let upkeep = tokio::spawn(recorder::keep_up(self.recorder));
        let (stop_updater, updater_stop) = watch::channel(false);
        // On a thread of its own, behind those that answer requests.
        let making = self.app.clone().map(|app| {
            let (stop, stopped) = watch::channel(false);
            let work = move || {
                store::yield_to_requests();
                tokio::runtime::Handle::current().block_on(app.keep_lists(stopped));
            };
            (stop, tokio::task::spawn_blocking(work))
        });
        let lists_shelf = shelf.clone().unwrap_or_else(|| update::items(&self.catalogs_file));
        let saves = matches!(self.catalogs_file, CatalogsFile::Shared(_));
        let stores = self.stores.clone();
        let updater = Updater::with(stores, self.clock, self.updater, lists_shelf, self.lists_pace, saves)
            .with_models(self.models);
        let updates = self.roles.updater;
        // On a thread of its own: decoding a batch takes longer than a request may wait for a worker.
        let work = move || {
            store::yield_to_requests();
            tokio::runtime::Handle::current().block_on(updater.run(updater_stop));
        };
        let mut updater = tokio::spawn(async move {
            if updates { tokio::task::spawn_blocking(work).await } else { std::future::pending().await }
        });
        let stopping = || {
            let mut stop = stop.clone();
            // The sender lives as long as the process; were it gone, stopping would be right as well.
            async move { drop(stop.wait_for(|s| *s).await) }
        };
        let drain = self.drain;
        let told = || {
            let (stopping, app) = (stopping(), self.app.clone());
            async move {
                stopping.await;
                if let Some(app) = app {
                    app.drain();
                }
                tokio::time::sleep(drain).await;
            }
        };
        let ports =
            self.ports.into_iter().map(|(listener, router)| listen::serve(listener, router, self.bounds, told()));
        let serving = futures::future::join(told(), futures::future::join_all(ports));
        let too_late = async {
            stopping().await;
            tokio::time::sleep(drain + DRAIN).await;
        };
        let mut failed = Ok(());
        tokio::select! {
            _ = serving => {}
            ended = &mut updater => return Err(ended_early(ended)),
            why = closed(self.stores.clone()) => failed = Err(why),
            () = too_late => tracing::warn!("some requests did not end in {} s and are cut off", DRAIN.as_secs()),
        }
        if updates {
            // It listens as long as it runs.
            let _ = stop_updater.send(true);
            updater.await.flatten().map_err(|e| Failure::Failed(format!("the updater broke off: {e}")))?;
        }
        if let Some((stop, making)) = making {
            let _ = stop.send(true);
            // It was told; what it was at is made up for by the next pass.
            let _ = making.await;
        }
        for task in refreshing.into_iter().chain(following) {
            task.abort();
        }
        if let Some(app) = self.app
            && let Err(e) = app.flush().await
        {
            tracing::warn!("lists of the last seconds are not in the statistics: {e}");
        }
        if let Some(shelf) = shelf {
            shelf.save(&*self.stores.catalogs).await;
        }
        upkeep.abort();
        beating.abort();
        close(&self.stores).await;
        failed
    }
}

/// `/readyz` of a process without an API: it can read the database.
fn readiness(stores: Stores) -> Router {
    let ready = async move || match stores.experiments.changes().await {
        Ok(_) => (StatusCode::OK, "ready"),
        Err(e) => {
            tracing::error!("not ready: {e}");
            (StatusCode::SERVICE_UNAVAILABLE, "the database cannot be read; see the log of this process")
        }
    };
    Router::new().route("/readyz", get(ready))
}

/// Serves until the process is told to stop.
pub(crate) async fn run(settings: &Settings, roles: Roles) -> Result<(), Failure> {
    let interruption = Interruption::listen()?;
    let server = Server::open(settings, Arc::new(SystemClock), roles, None).await?;
    let lines = ["listening on", "admin routes on"].iter().zip(server.addresses());
    // At once, for whoever reads the first line and goes.
    println!("{}", lines.map(|(what, address)| format!("{what} http://{address}")).collect::<Vec<_>>().join("\n"));
    notify(NotifyState::Ready);
    let (stop, stopped) = watch::channel(false);
    tokio::spawn(async move {
        interruption.wait().await;
        notify(NotifyState::Stopping);
        tracing::info!("stopping");
        let _ = stop.send(true);
    });
    server.run(stopped).await
}

/// Who is let in: keys are asked for on every address as soon as other machines reach one.
async fn access(settings: &Settings, listens: bool, stores: &Stores) -> Result<Access, Failure> {
    let addresses = if listens {
        vec![("listen", Some(settings.listen)), ("admin_listen", settings.admin_listen)]
    } else {
        vec![("metrics_listen", settings.metrics_listen)]
    };
    let open = addresses
        .into_iter()
        .find_map(|(setting, address)| Some((setting, address.filter(|a| !a.ip().is_loopback())?)));
    let Some((setting, address)) = open else { return Ok(Access::loopback()) };
    let valid = stores.keys.valid_keys().await?;
    if !valid.iter().any(|k| k.scope == Scope::Admin) {
        let why = "other machines reach this address and there is no admin key: make one with \
                   'croupier keys create --scope admin --name NAME', or listen on 127.0.0.1";
        return Err(Failure::unusable(setting, &address.to_string(), why));
    }
    Ok(Access::keys())
}

/// How people come in to the dashboard. Sessions last by the system's clock, also in the demo.
fn door(settings: &Settings) -> Door {
    let trusted = settings.trusted.clone();
    let (editors, others) = (trusted.editors, trusted.others);
    Door {
        loopback: settings.admin_listen.unwrap_or(settings.listen).ip().is_loopback(),
        proxies: trusted.proxies,
        identity: trusted.header.map(|header| Identity { header, editors, others }),
        clock: Arc::new(SystemClock),
    }
}

async fn bind(setting: &str, listen: SocketAddr) -> Result<TcpListener, Failure> {
    TcpListener::bind(listen).await.map_err(|e| {
        Failure::unusable(setting, &listen.to_string(), &format!("the port cannot be opened ({e}): choose another"))
    })
}

fn ended_early(ended: Result<Result<(), JoinError>, JoinError>) -> Failure {
    let why = ended.flatten().err().map_or_else(String::new, |e| format!(": {e}"));
    Failure::Failed(format!("the updater ended by itself{why}"))
}

/// Closes stores in order; whoever still asks one of them does not keep the process from ending.
pub(crate) async fn close(stores: &Stores) {
    stores.events.close().await;
    if tokio::time::timeout(DRAIN, stores.experiments.close()).await.is_err() {
        tracing::warn!("the database is still asked, and is not closed in order");
    }
}

/// Resolves when a store that has closed itself would take writes if it were opened again: whoever watches this process starts it
/// again. Until then it answers from what it knows.
async fn closed(stores: Stores) -> Failure {
    loop {
        tokio::time::sleep(LOOK).await;
        for checked in [stores.assignments.check().await, stores.events.check().await] {
            if let Err(e @ StoreError::Closed(_)) = checked {
                return e.into();
            }
        }
    }
}
