//! Small makers for tests of the catalog.

mod commands;

use std::sync::Arc;
use std::time::Duration;

use crate::model::{
    Cluster, Declared, DeclaredStatus, Endpoint, Epoch, Health, Lease, Liveness, Marks, Member, Metadata,
    Mono, OperatorPatch, Origin, Reason, Record, Registration, Revision, ServiceKey, ServicePatch, State,
    Timings, Wall, Weight,
};

use super::{Catalog, CatalogConfig, Command, Committed, Decision, GuardEvent, Mutation, Refusal, View};

pub(crate) fn registration(liveness: Liveness) -> Registration {
    Registration {
        cluster: Cluster::DEFAULT.parse().unwrap(),
        weight: Weight::DEFAULT,
        enabled: true,
        metadata: Metadata::default(),
        locality: None,
        liveness,
        expires: true,
        incarnation: None,
    }
}

pub(crate) fn beat() -> Registration {
    registration(Liveness::Beat(Timings::DEFAULT))
}

pub(crate) fn member(endpoint: &Endpoint, slot: u32) -> Member {
    Member {
        endpoint: endpoint.clone(),
        slot,
        state: State {
            health: Health::Healthy,
            marks: Marks::NONE,
            reason: Reason::Registered,
            revision: Revision(1),
            since: Wall(0),
        },
        record: Arc::new(Record::new(beat(), None, None)),
    }
}

pub(crate) fn endpoint(text: &str) -> Endpoint {
    text.parse().unwrap()
}

pub(crate) fn key(name: &str) -> ServiceKey {
    format!("public/DEFAULT_GROUP/{name}").parse().unwrap()
}

pub(crate) fn lease(bits: u64) -> Lease {
    Lease::from_bits(bits.wrapping_mul(0x9E37_79B9_7F4A_7C15).max(1)).unwrap()
}

pub(crate) fn at_ms(ms: u64) -> Mono {
    Mono(ms * 1_000)
}

pub(crate) fn timings(interval_ms: u64, unhealthy_ms: u64, remove_ms: u64) -> Timings {
    let ms = Duration::from_millis;
    Timings::new(ms(interval_ms), ms(unhealthy_ms), ms(remove_ms)).unwrap()
}

pub(crate) fn beat_with(interval_ms: u64, unhealthy_ms: u64, remove_ms: u64) -> Registration {
    registration(Liveness::Beat(timings(interval_ms, unhealthy_ms, remove_ms)))
}

pub(crate) fn of_run(incarnation: &str, registration: Registration) -> Registration {
    Registration {
        incarnation: Some(incarnation.parse().unwrap()),
        ..registration
    }
}

pub(crate) fn labelled(name: &str, value: &str, registration: Registration) -> Registration {
    Registration {
        metadata: Metadata::new([(name, value)]).unwrap(),
        ..registration
    }
}

pub(crate) fn declared(status: DeclaredStatus) -> Option<Arc<Declared>> {
    Some(Arc::new(Declared::new(status, None).unwrap()))
}

/// The patch that switches an instance off.
pub(crate) fn off() -> OperatorPatch {
    OperatorPatch {
        enabled: Some(false),
        ..OperatorPatch::default()
    }
}

/// The patch that turns the consequences of silence on or off.
pub(crate) fn expires(expires: bool) -> ServicePatch {
    ServicePatch {
        expires: Some(expires),
        ..ServicePatch::default()
    }
}

/// A catalog with a journal that commits at once, and time that the test moves.
pub(crate) struct World {
    pub(crate) catalog: Catalog,
    pub(crate) now: Mono,
    next_lease: u64,
    /// Every mutation that was applied, in order.
    pub(crate) history: Vec<Committed>,
    /// Those of them that readers can see, with their services.
    pub(crate) changes: Vec<(Revision, ServiceKey)>,
    /// What the guards did.
    pub(crate) events: Vec<GuardEvent>,
    /// While set, nothing that falls due is committed.
    pub(crate) journal_fails: bool,
}

impl World {
    pub(crate) fn new(config: CatalogConfig) -> Self {
        let mut catalog = Catalog::new(config, Mono(0));
        catalog.resume(Epoch(0xE), Revision::ZERO);
        let (history, changes, events) = (Vec::new(), Vec::new(), Vec::new());
        Self {
            catalog,
            now: Mono(0),
            next_lease: 0,
            history,
            changes,
            events,
            journal_fails: false,
        }
    }

    pub(crate) fn without_guard() -> Self {
        let mut config = CatalogConfig::default();
        config.guard.enabled = false;
        Self::new(config)
    }

    /// Neither guard nor damping: health is what was measured last.
    pub(crate) fn undamped() -> Self {
        let mut config = CatalogConfig::default();
        config.guard.enabled = false;
        config.flap.enabled = false;
        Self::new(config)
    }

    pub(crate) fn fresh_lease(&mut self) -> Lease {
        self.next_lease += 1;
        lease(self.next_lease)
    }

    /// The lease that was offered last.
    pub(crate) fn offered_lease(&self) -> Lease {
        lease(self.next_lease)
    }

    /// Decides, commits and applies. Returns how many mutations it came to.
    pub(crate) fn run(&mut self, command: Command) -> Result<usize, Refusal> {
        match self.catalog.decide(command, 0, self.now)? {
            Decision::Nothing => Ok(0),
            Decision::Commit(mutations) => Ok(self.commit(mutations)),
        }
    }

    pub(crate) fn commit(&mut self, mutations: Vec<Mutation>) -> usize {
        let count = mutations.len();
        for mutation in mutations {
            let revision = self.catalog.version().revision.next();
            let committed = Committed {
                revision,
                at: Wall(self.now.0 / 1_000),
                by: Origin::REGISTRY,
                mutation,
            };
            self.history.push(committed.clone());
            self.catalog.apply(committed, self.now);
            let newest = self.catalog.log().after(Revision(revision.0 - 1)).next();
            self.changes
                .extend(newest.map(|change| (revision, change.service.clone())));
        }
        count
    }

    /// The registry starts again from its journal.
    pub(crate) fn reopen(&mut self) {
        let newest = self.revision();
        self.catalog = Catalog::new(self.catalog.config().clone(), self.now);
        for committed in &self.history {
            self.catalog.apply(committed.clone(), self.now);
        }
        self.catalog.resume(Epoch(0xE), newest);
    }

    /// Beats, and tells the catalog of those who returned, as the engine does.
    pub(crate) fn beat(&mut self, lease: Lease) -> crate::liveness::Beat {
        let outcome = self.beat_unheard(lease);
        if let crate::liveness::Beat::Returned(slot) = outcome {
            self.run(Command::Returned { slot }).unwrap();
        }
        outcome
    }

    pub(crate) fn beat_all(&mut self, leases: &[Lease]) {
        for lease in leases {
            self.beat(*lease);
        }
    }

    /// Beats, and tells nobody.
    pub(crate) fn beat_unheard(&mut self, lease: Lease) -> crate::liveness::Beat {
        let mut outcome = crate::liveness::Beat::Renewed;
        self.catalog
            .beats()
            .renew(&[lease], self.now, |_, other| outcome = other);
        outcome
    }

    /// Moves time from deadline to deadline, as the engine's driver does.
    pub(crate) fn advance(&mut self, by: Duration) {
        let end = self.now.after(by);
        while let Some(next) = self.catalog.next_deadline().filter(|next| *next <= end) {
            self.now = self.now.max(next);
            self.turn();
        }
        self.now = end;
    }

    /// One turn of the driver.
    pub(crate) fn turn(&mut self) {
        let (mutations, turns) = self.catalog.due(self.now);
        self.events.extend(turns.into_iter().map(|turn| turn.event));
        if !self.journal_fails {
            self.commit(mutations);
        }
    }

    /// Has the guard hold by an operator's hand.
    pub(crate) fn force_guard(&mut self, service: Option<&ServiceKey>, lasts: Duration) {
        let (mutations, turn) = self.catalog.force_guard(service, lasts, self.now).unwrap();
        self.events.push(turn.event);
        self.commit(mutations);
    }

    pub(crate) fn advance_to_ms(&mut self, ms: u64) {
        self.advance(at_ms(ms).since(self.now));
    }

    /// Moves time while these beat every 5 s.
    pub(crate) fn advance_beating(&mut self, by: Duration, leases: &[Lease]) {
        let end = self.now.after(by);
        while self.now < end {
            self.advance(end.since(self.now).min(Duration::from_secs(5)));
            self.beat_all(leases);
        }
    }

    pub(crate) fn revision(&self) -> Revision {
        self.catalog.version().revision
    }

    pub(crate) fn view(&self, service: &str) -> Option<Arc<View>> {
        self.catalog.view(key(service).borrowed())
    }

    pub(crate) fn member(&self, service: &str, address: &str) -> Option<Member> {
        self.view(service)?.get(&endpoint(address)).cloned()
    }

    /// `healthy`, `suspect`, `unhealthy` or `gone`.
    pub(crate) fn health(&self, service: &str, address: &str) -> &'static str {
        match self.member(service, address) {
            None => "gone",
            Some(member) if member.state.suspect() => "suspect",
            Some(member) if member.healthy() => "healthy",
            Some(_) => "unhealthy",
        }
    }

    /// How many of a service are `healthy`, `suspect` or `unhealthy`.
    pub(crate) fn count(&self, service: &str, health: &str) -> usize {
        let Some(view) = self.view(service) else { return 0 };
        let all = view.members().map(|member| member.endpoint.to_string());
        all.filter(|address| self.health(service, address) == health)
            .count()
    }

    pub(crate) fn last_reason(&self) -> Reason {
        self.catalog.log().after(Revision::ZERO).last().unwrap().reason
    }
}

/// The address of instance `number` of [`World::register_many`].
pub(crate) fn address(number: usize) -> String {
    format!("10.0.{}.{}:80", number / 256, number % 256)
}
