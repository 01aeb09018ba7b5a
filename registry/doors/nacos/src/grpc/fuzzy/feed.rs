//! The one task that knows which services match which pattern.
//!
//! It does one thing after another: it looks through a namespace for a new pattern, and follows the changes of the
//! registry. What a change says is only which service to look at, so that one that comes twice, or late, does no harm.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use beatrix_core::catalog::DirectoryQuery;
use beatrix_core::model::ServiceKey;
use beatrix_engine::registry::{Followed, Follower};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::pattern::Pattern;
use crate::door::Nacos;
use crate::grpc::outbox::Outbox;
use crate::limits::{GRPC_FUZZY_PATTERNS_MAX, GRPC_FUZZY_SERVICES_PER_PATTERN_MAX};
use crate::operations::catalog;

/// How many wishes wait; who wishes more waits for that.
const QUEUE: usize = 256;

/// What a client wants.
#[derive(Debug)]
pub(in crate::grpc) enum Wish {
    /// To be told of services that match.
    Watch {
        pattern: Pattern,
        /// It has not been told all yet.
        begins: bool,
        /// What it knows.
        known: BTreeSet<ServiceKey>,
    },
    /// To be told no more.
    Cancel { pattern: Pattern },
    /// Its connection has ended.
    Leave,
}

/// What became of a wish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::grpc) enum Granted {
    Yes,
    /// It watches, but more services match than it is told of.
    Partly,
    /// There are too many patterns.
    No,
}

struct Request {
    /// Whose connection it is.
    watcher: u64,
    outbox: Weak<Outbox>,
    wish: Wish,
    reply: oneshot::Sender<Granted>,
}

/// The handle. The task begins with the first wish, and ends with the door.
#[derive(Debug, Default)]
pub(in crate::grpc) struct Feed(OnceLock<mpsc::Sender<Request>>);

impl Feed {
    /// Puts a wish into the line. `None` if the registry has stopped. No answer will come if it, or the connection, has
    /// ended by then.
    pub(in crate::grpc) async fn wish(
        &self,
        nacos: &Nacos,
        watcher: u64,
        outbox: &Arc<Outbox>,
        wish: Wish,
    ) -> Option<oneshot::Receiver<Granted>> {
        let requests = self.0.get_or_init(|| {
            let (requests, queue) = mpsc::channel(QUEUE);
            tokio::spawn(run(nacos.clone(), queue));
            requests
        });
        let (reply, granted) = oneshot::channel();
        let request = Request {
            watcher,
            outbox: Arc::downgrade(outbox),
            wish,
            reply,
        };
        requests.send(request).await.ok()?;
        Some(granted)
    }
}

/// One pattern, whoever watches it.
struct Watched {
    pattern: Pattern,
    services: BTreeSet<ServiceKey>,
    /// Whether more match than are in there.
    full: bool,
    watchers: BTreeMap<u64, Weak<Outbox>>,
}

/// Patterns by their text.
type All = BTreeMap<String, Watched>;

/// Services that clients know and the registry does not, by pattern and watcher. While not all may be known nobody can
/// say that they are gone.
type Doubted = BTreeMap<(String, u64), BTreeSet<ServiceKey>>;

/// How often it is looked whether all are known, while services are in doubt.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// What the task knows.
#[derive(Default)]
struct Known {
    all: All,
    doubted: Doubted,
}

async fn run(nacos: Nacos, mut queue: mpsc::Receiver<Request>) {
    let stopped = nacos.registry.stopped();
    tokio::pin!(stopped);
    let mut known = Known::default();
    let mut doubts = interval(LOOK_EVERY);
    doubts.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // Nobody is followed for nobody.
    let mut follower: Option<Follower> = None;
    loop {
        let followed = async {
            match &mut follower {
                Some(follower) => follower.next().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = &mut stopped => return,
            _ = doubts.tick(), if !known.doubted.is_empty() => known.end_doubts(&nacos),
            request = queue.recv() => {
                let Some(request) = request else { return };
                // Before anything is looked at, so that nothing is missed in between.
                follower.get_or_insert_with(|| nacos.registry.follow());
                take(&nacos, &mut known, request).await;
                if known.all.is_empty() {
                    follower = None;
                }
            }
            followed = followed => match followed {
                Followed::Changes(changes) => {
                    let touched: BTreeSet<_> = changes.into_iter().map(|change| change.service).collect();
                    for service in touched {
                        look(&nacos, &mut known.all, &service);
                    }
                    refill(&nacos, &mut known.all).await;
                }
                Followed::Lost => look_through(&nacos, &mut known.all).await,
            },
        }
    }
}

async fn take(nacos: &Nacos, known: &mut Known, request: Request) {
    let Request {
        watcher,
        outbox,
        wish,
        reply,
    } = request;
    let granted = match wish {
        Wish::Watch {
            pattern,
            begins,
            known: knows,
        } => match outbox.upgrade() {
            Some(outbox) => watch(nacos, known, watcher, &outbox, pattern, begins, &knows).await,
            None => None,
        },
        Wish::Cancel { pattern } => {
            known.leave(watcher, |text| text == pattern.text);
            if let Some(outbox) = outbox.upgrade() {
                outbox.patterns(|patterns| patterns.forget(&pattern.text));
            }
            Some(Granted::Yes)
        }
        Wish::Leave => {
            known.leave(watcher, |_| true);
            Some(Granted::Yes)
        }
    };
    if let Some(granted) = granted {
        let _gone_if_nobody_waits = reply.send(granted);
    }
}

impl Known {
    fn leave(&mut self, watcher: u64, what: impl Fn(&str) -> bool) {
        self.all.retain(|text, watched| {
            if what(text) {
                watched.watchers.remove(&watcher);
            }
            !watched.watchers.is_empty()
        });
        self.doubted.retain(|(text, of), _| *of != watcher || !what(text));
    }

    /// Tells who knows of services that are gone, once all may be known.
    fn end_doubts(&mut self, nacos: &Nacos) {
        if !nacos.registry.complete() {
            return;
        }
        for ((text, watcher), doubted) in std::mem::take(&mut self.doubted) {
            let Some(watched) = self.all.get(&text) else {
                continue;
            };
            let Some(outbox) = watched.watchers.get(&watcher).and_then(Weak::upgrade) else {
                continue;
            };
            outbox.patterns(|patterns| {
                for service in doubted.difference(&watched.services) {
                    patterns.changed(&text, service, false);
                }
            });
        }
    }
}

async fn watch(
    nacos: &Nacos,
    Known { all, doubted }: &mut Known,
    watcher: u64,
    outbox: &Arc<Outbox>,
    pattern: Pattern,
    begins: bool,
    knows: &BTreeSet<ServiceKey>,
) -> Option<Granted> {
    let text = pattern.text.clone();
    // Without an answer: the connection has ended.
    if !outbox.patterns(|patterns| patterns.may_watch(&text))? {
        return Some(Granted::No);
    }
    if !all.contains_key(&text) {
        if all.len() >= GRPC_FUZZY_PATTERNS_MAX {
            return Some(Granted::No);
        }
        let (services, full) = matching(nacos, &pattern).await;
        let watched = Watched {
            pattern,
            services,
            full,
            watchers: BTreeMap::new(),
        };
        all.insert(text.clone(), watched);
    }
    let watched = all.get_mut(&text)?;
    watched.watchers.insert(watcher, Arc::downgrade(outbox));
    let full = watched.full;
    let came: Vec<_> = watched.services.difference(knows).cloned().collect();
    // Of more services than are told of nobody knows which are gone.
    let gone = |_: &&ServiceKey| !full;
    let went: Vec<_> = knows
        .difference(&watched.services)
        .filter(gone)
        .cloned()
        .collect();
    let of = (text.clone(), watcher);
    doubted.remove(&of);
    let went = if went.is_empty() || nacos.registry.complete() {
        went
    } else {
        doubted.insert(of, went.into_iter().collect());
        Vec::new()
    };
    outbox.patterns(|patterns| patterns.watch(&text, begins, &came, went, Instant::now()));
    Some(if full { Granted::Partly } else { Granted::Yes })
}

/// The services that match now, no more than are told of, and whether there are more.
async fn matching(nacos: &Nacos, pattern: &Pattern) -> (BTreeSet<ServiceKey>, bool) {
    let query = DirectoryQuery {
        namespace: pattern.namespace.as_str(),
        group: None,
        group_contains: None,
        search: None,
        empty: false,
        declared: false,
        offset: 0,
        limit: usize::MAX,
    };
    let (names, _) = catalog::names(nacos, query).await;
    let mut matching = names.into_iter().filter(|service| pattern.matches(service));
    let services = matching
        .by_ref()
        .take(GRPC_FUZZY_SERVICES_PER_PATTERN_MAX)
        .collect();
    (services, matching.next().is_some())
}

/// Looks whether a service came or went, and tells those who watch it.
fn look(nacos: &Nacos, all: &mut All, service: &ServiceKey) {
    // First, since a view is made anew for whoever asks.
    if !all.values().any(|watched| watched.pattern.matches(service)) {
        return;
    }
    let view = nacos.registry.view(service.borrowed());
    let there = view.is_some_and(|view| view.members().next().is_some());
    for watched in all.values_mut() {
        if watched.pattern.matches(service) {
            set(watched, service, there);
        }
    }
}

fn set(watched: &mut Watched, service: &ServiceKey, there: bool) {
    let changed = if there {
        let room = watched.services.len() < GRPC_FUZZY_SERVICES_PER_PATTERN_MAX;
        watched.full |= !room && !watched.services.contains(service);
        room && watched.services.insert(service.clone())
    } else {
        watched.services.remove(service)
    };
    if !changed {
        return;
    }
    let text = &watched.pattern.text;
    for outbox in watched.watchers.values().filter_map(Weak::upgrade) {
        outbox.patterns(|patterns| patterns.changed(text, service, there));
    }
}

/// Where there is room again for services that are not told of, some of them are.
async fn refill(nacos: &Nacos, all: &mut All) {
    for watched in all.values_mut() {
        if watched.full && watched.services.len() < GRPC_FUZZY_SERVICES_PER_PATTERN_MAX {
            let (now, full) = matching(nacos, &watched.pattern).await;
            for service in now {
                set(watched, &service, true);
            }
            watched.full = full;
        }
    }
}

/// So much has changed that nobody knows what: all is looked at anew.
async fn look_through(nacos: &Nacos, all: &mut All) {
    for watched in all.values_mut() {
        let (now, full) = matching(nacos, &watched.pattern).await;
        let went: Vec<_> = watched.services.difference(&now).cloned().collect();
        for service in went {
            set(watched, &service, false);
        }
        for service in now {
            set(watched, &service, true);
        }
        watched.full = full;
    }
}
