//! Putting a registry together from what comes in from outside.

use std::sync::Arc;
use std::time::Duration;

use beatrix_core::catalog::Catalog;
use beatrix_core::liveness::LivenessClock;
use beatrix_core::model::Origin;
use parking_lot::Mutex;
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::drain::Drains;
use super::owner::{Owner, QUEUE, hand_out};
use super::past::Reader;
use super::reports::Paces;
use super::{Inner, Registry, checkpointer};
use crate::clock::{Clock, SystemClock};
use crate::config::EngineConfig;
use crate::hub::Hub;
use crate::journal::{Journal, JournalError, Known, Restored};
use crate::looks::{self, Looks};
use crate::probing::{Driver, OwnerBell, Probing};
use crate::random::Random;

/// What a registry is made of.
#[derive(Debug)]
pub struct RegistryBuilder {
    config: EngineConfig,
    clock: Arc<dyn Clock>,
    random: Random,
    own_thread: bool,
    probing: Option<Arc<dyn Probing>>,
}

impl RegistryBuilder {
    /// The machine's clocks, and this randomness.
    #[must_use]
    pub fn new(config: EngineConfig, random: Random) -> Self {
        Self {
            config,
            clock: Arc::new(SystemClock::new()),
            random,
            own_thread: false,
            probing: None,
        }
    }

    /// Has instances probed that ask for it, and those looked at that consumers cannot reach. Without this nobody is,
    /// whatever the configuration says.
    #[must_use]
    pub fn with_probing(mut self, probing: Arc<dyn Probing>) -> Self {
        self.probing = Some(probing);
        self
    }

    /// Gives the owner a thread of its own. On the runtime of the doors its timers wait for whatever the workers do:
    /// with a thousand events to render, a deadline was seen to wait for 150 ms. Not for tests: paused time is that of
    /// one runtime.
    #[must_use]
    pub fn with_own_thread(mut self) -> Self {
        self.own_thread = true;
        self
    }

    /// Another clock.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Restores what the journal knows and starts the owner's and the hub's task on the current runtime.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub async fn start<J: Journal>(self, mut journal: J) -> Result<Registry, JournalError> {
        let Self {
            mut config,
            clock,
            random,
            own_thread,
            probing,
        } = self;
        config.catalog.probes.enabled &= probing.is_some();
        config.catalog.probes.seed = random.seed();
        let now = clock.mono();
        let mut catalog = Catalog::new(config.catalog.clone(), now);
        let restored = restore(&mut journal, &mut catalog, &*clock).await?;
        let history = journal.history().map(Reader::new);
        // Liveness time begins here, and with it all deadlines: nobody could beat while this was being read back.
        let now = clock.mono();
        let liveness = Arc::new(LivenessClock::new(now));
        catalog.resume(restored.epoch, restored.revision, restored.gaps.clone(), now);
        let checkpoints = journal.checkpoints();
        let storage = journal.storage();
        let revision = catalog.version().revision;
        let (beats, published, settings) = (catalog.beats(), catalog.published(), catalog.settings());
        let catalog = Arc::new(Mutex::new(catalog));
        let hub = Arc::new(Hub::new(Arc::clone(&catalog), &config));
        hub.noted(revision);

        let drains = Arc::<Drains>::default();
        let (sender, inbox) = mpsc::channel(QUEUE);
        let (answers, handed_out) = mpsc::channel(QUEUE);
        let stop = CancellationToken::new();
        let tasks = TaskTracker::new();
        let noticed = Arc::default();
        let (sooner, bell) = (Arc::new(Notify::new()), OwnerBell::default());
        let applied = Arc::<Notify>::default();
        let looks = probing.filter(|_| config.catalog.probes.enabled).map(|probing| {
            let (looks, orders) = mpsc::channel(looks::ORDERS_MAX);
            let looking = Looks {
                catalog: Arc::clone(&catalog),
                clock: Arc::clone(&clock),
                liveness: Arc::clone(&liveness),
                probing: Arc::clone(&probing),
                sooner: Arc::clone(&sooner),
                orders,
                stop: stop.clone(),
            };
            tasks.spawn(looking.run());
            let driver = Driver {
                catalog: Arc::clone(&catalog),
                clock: Arc::clone(&clock),
                liveness: Arc::clone(&liveness),
                probing,
                sooner: Arc::clone(&sooner),
                owner: bell.clone(),
                stop: stop.clone(),
            };
            tasks.spawn(driver.run());
            looks
        });
        let paces = Paces::new(&config.report_pace);
        let owner = Owner {
            catalog: Arc::clone(&catalog),
            journal,
            hub: Arc::clone(&hub),
            drains: Arc::clone(&drains),
            clock: Arc::clone(&clock),
            liveness: Arc::clone(&liveness),
            inbox,
            sooner: Arc::clone(&sooner),
            applied: Arc::clone(&applied),
            bell,
            answers,
            stop: stop.clone(),
            stalled: Duration::ZERO,
            noticed: Arc::clone(&noticed),
            looks,
            unscheduled: Vec::new(),
            unscheduled_since: None,
            merge_max: config.push_merge_max,
        };
        // The hub goes on until the owner has ended, so that the last writes are pushed, too. That it ends is seen
        // however it does: also when the registry is dropped without a stop.
        let ended = CancellationToken::new();
        let (pushing, owner_ended) = (Arc::clone(&hub), ended.clone());
        let owned = tasks.track_future(async move {
            let _ends = ended.drop_guard();
            owner.run().await;
        });
        if own_thread {
            on_own_thread(owned)
                .map_err(|error| JournalError(format!("no thread for the owner: {error}")))?;
        } else {
            tokio::spawn(owned);
        }
        tasks.spawn(hand_out(handed_out));
        if let Some(checkpoints) = checkpoints {
            // Also when the registry is dropped without a stop.
            let (of, stop, ended) = (Arc::clone(&catalog), stop.clone(), owner_ended.clone());
            tasks.spawn(async move {
                let made = checkpointer::run(of, checkpoints, stop);
                ended.run_until_cancelled(made).await;
            });
        }
        let stopped = CancellationToken::new();
        let all_ended = stopped.clone();
        tasks.spawn(async move {
            let _ends = all_ended.drop_guard();
            owner_ended.run_until_cancelled(pushing.run()).await;
            pushing.push_rest();
        });

        let inner = Inner {
            epoch: restored.epoch,
            started_at: clock.wall(),
            config,
            clock,
            random,
            liveness,
            beats,
            published,
            settings,
            catalog,
            hub,
            noticed,
            sooner,
            applied,
            history,
            storage,
            backups: Default::default(),
            owner: sender,
            drains,
            paces,
            ordered: Default::default(),
            stop,
            stopped,
            tasks,
        };
        Ok(Registry {
            inner: Arc::new(inner),
            origin: Origin::REGISTRY,
        })
    }
}

/// Brings the catalog to what the journal still knows.
async fn restore<J: Journal>(
    journal: &mut J,
    catalog: &mut Catalog,
    clock: &dyn Clock,
) -> Result<Restored, JournalError> {
    let now = clock.mono();
    let restored = journal
        .restore(&mut |known| {
            for known in known {
                match known {
                    Known::Piece(piece) => catalog.restore(piece, now),
                    Known::Committed(committed) => {
                        catalog.apply(committed, now);
                    }
                }
            }
        })
        .await?;
    Ok(restored)
}

/// Runs the owner on a thread of its own.
fn on_own_thread(owned: impl Future<Output = ()> + Send + 'static) -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()?;
    std::thread::Builder::new()
        .name("registry-owner".into())
        .spawn(move || runtime.block_on(owned))?;
    Ok(())
}
