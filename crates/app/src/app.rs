//! The running application: the store, the configuration in memory, the clock, the numbers and the secrets.
//!
//! Operations are methods, in the file of their noun. A dialect parses, calls one of them, and renders.

use crate::click::Clicks;
use crate::click::recorder::ClickRecorder;
use crate::clock::Clock;
use crate::directory::Directory;
use crate::error::Result;
use crate::node::Node;
use crate::outbox::Outbox;
use crate::secrets::Secrets;
use headwater_domain::click::keys::ClickKeys;
use headwater_domain::ids::IdSource;
use headwater_domain::time::Instant;
use headwater_store::batch_process::batch_leases_end;
use headwater_store::seal_check::seal_check_keep;
use headwater_store::{Store, counter, directory};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use tokio::sync::{Notify, Semaphore};

/// What every operation works on. Cheap to share: it lives in an [`Arc`].
#[derive(Debug)]
pub struct App {
    /// The store.
    pub store: Store,
    /// The clock.
    pub clock: Clock,
    /// Keys that never leave the process.
    pub secrets: Secrets,
    /// Endpoints and deliveries.
    pub outbox: Outbox,
    pub(crate) settlements: crate::settle::Queue,
    /// How much settlements read.
    pub priced: crate::settle::PricedSinceStart,
    /// Clicks: their configuration, numbers and rows.
    pub clicks: Arc<Clicks>,
    directory: RwLock<Arc<Directory>>,
    ids: Mutex<IdSource>,
    pub(crate) node: Node,
    /// Rung when a batch was made.
    pub(crate) batches: Arc<Notify>,
    /// A permit for each simulation that runs.
    pub(crate) simulating: Arc<Semaphore>,
    /// Where links point; `None` until the listener is known.
    public_url: RwLock<String>,
}

/// How an application is started.
#[derive(Debug, Clone)]
pub struct Start {
    /// The clock.
    pub clock: Clock,
    /// 32 bytes.
    pub master_key: [u8; 32],
    /// Where links and the script are served.
    pub public_url: String,
    /// Addresses that deliveries may reach although private.
    pub egress_allow: Vec<headwater_domain::postback::Cidr>,
}

impl App {
    /// Loads the configuration and starts the settling and click tasks.
    pub async fn start(store: Store, start: Start) -> Result<Arc<Self>> {
        // The number first: whoever held it before has written all that it ever will, but for a node that stood still.
        let node = Node::take(&store).await?;
        let greatest = store.money.read(async |tx| counter::greatest_id(tx).await).await?;
        let (settlements, settling) = crate::settle::queue();
        let recorder = ClickRecorder::start(store.clone());
        let keys = ClickKeys::derive(&start.master_key, None);
        let clicks = Arc::new(Clicks::open(store.clone(), keys, node.number(), recorder).await?);
        let secrets = Secrets::new(start.master_key);
        check_master_key(&store, &secrets).await?;
        let outbox = Outbox::new(store.clone(), secrets.clone(), &start.egress_allow);
        let app = Arc::new(Self {
            store,
            clock: start.clock,
            secrets,
            outbox,
            settlements,
            priced: crate::settle::PricedSinceStart::default(),
            clicks,
            directory: RwLock::default(),
            ids: Mutex::new(IdSource::new(node.number(), greatest)),
            node,
            batches: Arc::default(),
            simulating: Arc::new(Semaphore::new(crate::simulate::AT_ONCE_MAX)),
            public_url: RwLock::new(start.public_url),
        });
        app.refresh().await?;
        app.simulations_left().await?;
        tokio::spawn(crate::settle::run(Arc::downgrade(&app), settling));
        tokio::spawn(refresh_every_second(Arc::downgrade(&app)));
        tokio::spawn(crate::commission::fall_due_every_second(Arc::downgrade(&app)));
        tokio::spawn(crate::node::run(Arc::downgrade(&app)));
        app.store.money.write(async |tx| batch_leases_end(tx).await).await?;
        tokio::spawn(crate::batch::run(Arc::downgrade(&app)));
        Ok(app)
    }

    /// The configuration as it is now; whoever decides twice on it keeps what was given.
    pub fn directory(&self) -> Arc<Directory> {
        Arc::clone(&self.directory.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Brings the configuration up to date with the store.
    pub async fn refresh(&self) -> Result<()> {
        let seen = self.directory().version;
        let changes = self.store.money.read(async move |tx| directory::changes_since(tx, seen).await).await?;
        self.apply(changes);
        Ok(self.clicks.refresh().await?)
    }

    /// Writes what was accepted and still waits. Call it after the last request was answered.
    pub async fn close(&self) {
        self.clicks.close().await;
    }

    /// Takes over what a committed change wrote. It stands whether this node sees it now or a second later, so a failure
    /// is no answer to the caller.
    pub async fn refresh_committed(&self) {
        if let Err(error) = self.refresh().await {
            tracing::warn!(%error, "a change was committed, and is not in force on this node yet");
        }
    }

    /// Whether the store answers.
    pub async fn is_reachable(&self) -> bool {
        self.store.is_reachable().await
    }

    /// Takes over what was committed before this transaction: what is decided in it is decided on that, not on what this
    /// node saw last.
    pub(crate) async fn refresh_in(
        &self,
        tx: &headwater_store::backend::Tx<'_>,
    ) -> headwater_store::backend::Result<()> {
        let seen = self.directory().version;
        self.apply(directory::changes_since(tx, seen).await?);
        Ok(())
    }

    pub(crate) fn apply(&self, changes: directory::Changes) {
        let mut directory = self.directory.write().unwrap_or_else(PoisonError::into_inner);
        if changes.version > directory.version {
            Arc::make_mut(&mut directory).apply(changes);
        }
    }

    /// A time-ordered number.
    pub fn next_id(&self, now: Instant) -> i64 {
        self.ids.lock().unwrap_or_else(PoisonError::into_inner).next(now)
    }

    /// What is recorded from now on comes after this number. The later of two revisions is known by the greater one, also
    /// where two nodes recorded them within one moment.
    pub(crate) fn observe(&self, id: i64) {
        self.ids.lock().unwrap_or_else(PoisonError::into_inner).observe(id);
    }

    /// Makes numbers as another node from now on.
    pub(crate) fn renumber(&self, node: u8) {
        let now = self.clock.now();
        let mut ids = self.ids.lock().unwrap_or_else(PoisonError::into_inner);
        let last = ids.next(now);
        *ids = IdSource::new(node, last);
        self.clicks.renumber(node, now);
    }

    /// Where links and the script are served, without a slash at the end.
    pub fn public_url(&self) -> String {
        self.public_url.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Sets where links point, once the listener is known.
    pub fn set_public_url(&self, url: &str) {
        url.trim_end_matches('/').clone_into(&mut self.public_url.write().unwrap_or_else(PoisonError::into_inner));
    }
}

/// The store knows the key that its secrets are sealed under; another one is refused before it seals anything.
async fn check_master_key(store: &Store, secrets: &Secrets) -> Result<()> {
    const TEXT: &[u8] = b"headwater";
    let sealed = secrets.seal(TEXT, "seal_check");
    let kept = store.money.write(async move |tx| seal_check_keep(tx, &sealed).await).await?;
    if secrets.open(&kept, "seal_check").is_ok_and(|text| text == TEXT) {
        return Ok(());
    }
    let text = "the master key is not the one of this store: its secrets cannot be read; set HEADWATER_MASTER_KEY or \
                HEADWATER_MASTER_KEY_FILE to the key that the store was made with";
    Err(headwater_store::backend::Error::Refused(text.into()).into())
}

/// Other nodes' changes reach this one within a second.
async fn refresh_every_second(app: std::sync::Weak<App>) {
    let mut every = tokio::time::interval(std::time::Duration::from_secs(1));
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        every.tick().await;
        let Some(app) = app.upgrade() else { return };
        if let Err(error) = app.refresh().await {
            tracing::warn!(%error, "the configuration could not be refreshed");
        }
    }
}
