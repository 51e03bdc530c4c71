//! A running server: the store, the application, the routes and the delivery worker, started and stopped together.
//!
//! `serve` and `demo` run the same one. The order of stopping keeps what was accepted: requests in flight finish first,
//! then deliveries in flight, then the clicks that wait for the store, then it closes.

use crate::config::Config;
use anyhow::{Context as _, Result};
use headwater_app::app::{App, Start};
use headwater_app::clock::Clock;
use headwater_outbound::egress::{Egress, Settings};
use headwater_store::Store;
use headwater_web::listener::{self, Limits, tls};
use headwater_web::state::WebState;
use headwater_web::visitor::country::Countries;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Histograms are folded this often, so that memory does not grow between two readings.
const METRICS_UPKEEP: Duration = Duration::from_secs(5);
/// The disk can no longer be trusted: `EX_SOFTWARE` of sysexits.h, so that a supervisor starts us again.
const EXIT_FATAL: i32 = 70;

/// The process has one recorder.
static METRICS: OnceLock<PrometheusHandle> = OnceLock::new();

/// A server that listens.
pub struct Server {
    /// The application.
    pub app: Arc<App>,
    /// Where it is reached from this machine, without a slash at the end.
    pub url: String,
    stop: watch::Sender<bool>,
    listening: JoinHandle<std::io::Result<()>>,
    delivering: JoinHandle<()>,
}

/// Opens the store, and starts the application on it.
pub async fn open(config: &Config, master_key: [u8; 32]) -> Result<Arc<App>> {
    let store = Store::open(&config.place, stop_at_once).await.context("the store cannot be opened")?;
    let start = Start {
        clock: Clock::System,
        master_key,
        public_url: config.public_url.clone().unwrap_or_default(),
        egress_allow: config.egress_allow.clone(),
    };
    App::start(store, start).await.context("the application cannot be started")
}

impl Server {
    /// Listens before anything is opened, so that a taken port changes nothing on disk.
    pub async fn start(config: &Config, master_key: [u8; 32]) -> Result<Self> {
        let acceptor = match &config.tls {
            None => None,
            Some((certificate, key)) => {
                let read = |path: &std::path::Path| {
                    std::fs::read(path).with_context(|| format!("{} cannot be read", path.display()))
                };
                Some(tls::acceptor_from_pem(&read(certificate)?, &read(key)?).context("HEADWATER_TLS_CERT")?)
            }
        };
        let countries = match &config.geoip {
            None => Countries::bundled(),
            Some(path) => {
                Countries::open(path).with_context(|| format!("HEADWATER_GEOIP {} cannot be used", path.display()))?
            }
        };
        let listener = TcpListener::bind(&config.listen)
            .await
            .with_context(|| format!("cannot listen on HEADWATER_LISTEN `{}`", config.listen))?;
        let scheme = if acceptor.is_some() { "https" } else { "http" };
        let url = format!("{scheme}://{}", reachable(listener.local_addr()?));
        let egress = Egress::new(Settings::new(config.egress_allow.clone()))?;
        start_metrics()?;
        let app = open(config, master_key).await?;
        if config.public_url.is_none() {
            app.set_public_url(&url);
        }
        let (stop, stopping) = watch::channel(false);
        let limits = Limits { trusted_proxies: config.trusted_proxies.clone(), ..Limits::default() };
        let state =
            WebState::new(Arc::clone(&app), Arc::new(countries), config.trusted_proxies.clone(), render_metrics);
        let router = headwater_web::routes::routes(&state).context("the reference cannot be written")?;
        let mut closing = stopping.clone();
        let shutdown = async move { closing.wait_for(|stop| *stop).await.map(|_| ()) };
        let listening = match acceptor {
            None => tokio::spawn(listener::serve(listener, router, limits, shutdown)),
            Some(acceptor) => tokio::spawn(listener::serve_tls(listener, router, limits, acceptor, shutdown)),
        };
        tokio::spawn(headwater_app::settle::sweep::run(Arc::downgrade(&app)));
        tokio::spawn(headwater_app::reprice::run(Arc::downgrade(&app)));
        tokio::spawn(headwater_app::upgrade::run(Arc::downgrade(&app)));
        let worker = headwater_outbound::delivery::run(Arc::clone(&app), egress, stopping);
        Ok(Self { app, url, stop, listening, delivering: tokio::spawn(worker) })
    }

    /// Lets what is in flight finish.
    pub async fn stop(self) -> Result<()> {
        // Fails only when nobody listens any more, which is what it asks for.
        let _ = self.stop.send(true);
        self.listening.await.context("the listener ended badly")??;
        self.delivering.await.context("the delivery worker ended badly")?;
        self.app.close().await;
        if let Err(error) = self.app.leave().await {
            tracing::warn!(%error, "the node's number was not given back; its lease ends by itself");
        }
        Ok(())
    }
}

fn render_metrics() -> String {
    METRICS.get().map(PrometheusHandle::render).unwrap_or_default()
}

/// The recorder of every `metrics` macro, for `/metrics`.
fn start_metrics() -> Result<()> {
    let folding = PrometheusBuilder::new().install_recorder().context("metrics cannot be recorded")?;
    let _ = METRICS.set(folding.clone());
    tokio::spawn(async move {
        let mut every = tokio::time::interval(METRICS_UPKEEP);
        loop {
            every.tick().await;
            folding.run_upkeep();
        }
    });
    Ok(())
}

/// An address to connect to: a listener on every address is reached by the loopback.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(if address.is_ipv4() { [127, 0, 0, 1].into() } else { std::net::Ipv6Addr::LOCALHOST.into() });
    }
    address
}

/// Acknowledging anything after a failed write to disk would be a lie: the process ends, and recovers when it starts.
fn stop_at_once(error: &str) {
    tracing::error!(error, "the disk can no longer be trusted");
    std::process::exit(EXIT_FATAL);
}

/// Ready when the operator asks the process to end.
pub async fn asked_to_stop() -> Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}
