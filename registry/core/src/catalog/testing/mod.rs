//! Small makers for tests of the catalog.

mod commands;

pub(crate) use commands::result;

use std::sync::Arc;
use std::time::Duration;

use crate::model::{
    Begun, Cluster, Declared, DeclaredStatus, Endpoint, Epoch, Health, Lease, Liveness, Marks, Member,
    Metadata, Mono, OperatorPatch, Origin, Probe, ProbeKind, ProbePlan, ProbeSpec, Reason, Record,
    Registration, Revision, ServiceKey, ServicePatch, SessionId, Share, State, Timings, Wall, Weight,
};

use super::{
    CaptureWalk, Catalog, CatalogConfig, Command, Committed, Decision, GuardEvent, Mutation, Piece, Refusal,
    View,
};
use crate::changes::Gap;

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
        own_id: None,
    }
}

/// Probed by TCP each 5 s.
pub(crate) fn probed(rise: u8, fall: u8) -> Registration {
    let plan = ProbePlan {
        rise: Some(rise),
        fall: Some(fall),
        ..ProbePlan::default()
    };
    let spec = ProbeSpec::new(ProbeKind::Tcp, plan).unwrap();
    registration(Liveness::Probe(Probe::Own(Arc::new(spec))))
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
            share: Share::FULL,
            begun: Begun::NEVER,
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

/// The same without which connection it lives by: nobody is told that that changes, not even the journal.
pub(crate) fn anonymous(registration: &Registration) -> Registration {
    let mut registration = registration.clone();
    if let Liveness::Session(session) = &mut registration.liveness {
        *session = SessionId(0);
    }
    registration
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
    /// The checkpoint that is being made, and the newest that is whole.
    capturing: Option<(CaptureWalk, Vec<Piece>)>,
    pub(crate) checkpoint: Vec<Piece>,
    /// The revision of the last restart after which the catalog was incomplete.
    pub(crate) reopened: Option<Revision>,
}

impl World {
    pub(crate) fn new(config: CatalogConfig) -> Self {
        let mut catalog = Catalog::new(config, Mono(0));
        catalog.resume(Epoch(0xE), Revision::ZERO, Vec::new(), Mono(0));
        let (history, changes, events) = (Vec::new(), Vec::new(), Vec::new());
        Self {
            catalog,
            now: Mono(0),
            next_lease: 0,
            history,
            changes,
            events,
            journal_fails: false,
            capturing: None,
            checkpoint: Vec::new(),
            reopened: None,
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

    /// The registry starts again from its journal: from the newest checkpoint and what was committed since, or from all
    /// that ever was.
    pub(crate) fn reopen(&mut self) {
        self.reopen_with(Vec::new());
    }

    /// The same with revisions that were lost.
    pub(crate) fn reopen_with(&mut self, gaps: Vec<Gap>) {
        let newest = gaps
            .last()
            .map_or(Revision::ZERO, |gap| gap.until)
            .max(self.revision());
        self.catalog = Catalog::new(self.catalog.config().clone(), self.now);
        let mut from = Revision::ZERO;
        for piece in &self.checkpoint {
            if let Piece::Begin { as_of } = piece {
                from = *as_of;
            }
            self.catalog.restore(piece.clone(), self.now);
        }
        // A journal may tell some of what is in the checkpoint already.
        let from = Revision(from.0 * (newest.0 % 3) / 2);
        let held = self.history.iter().filter(|committed| committed.revision > from);
        for committed in held {
            self.catalog.apply(committed.clone(), self.now);
        }
        self.catalog.resume(Epoch(0xE), newest, gaps, self.now);
        self.capturing = None;
        if !self.catalog.complete() {
            self.reopened = Some(newest);
        }
    }

    /// A step of a checkpoint, which takes the place of the one before once it is whole.
    pub(crate) fn capture_some(&mut self, chunks: usize) {
        let (walk, pieces) = self.capturing.get_or_insert_default();
        match self.catalog.capture(walk, chunks) {
            Some(captured) => pieces.extend(captured.into_pieces()),
            None => self.checkpoint = self.capturing.take().unwrap_or_default().1,
        }
    }

    /// All that there is, in one step: without where in history that is, and without what a restart begins anew.
    pub(crate) fn pieces(&self) -> Vec<Piece> {
        let captured = self.catalog.capture(&mut CaptureWalk::default(), usize::MAX);
        let mut pieces: Vec<_> = captured.unwrap().into_pieces().collect();
        for piece in &mut pieces {
            match piece {
                Piece::Begin { as_of } => *as_of = Revision::ZERO,
                Piece::Service(service) => service.as_of = Revision::ZERO,
                Piece::Instances(instances) => {
                    for instance in instances {
                        instance.state.marks = Marks::NONE;
                        instance.registration = anonymous(&instance.registration);
                    }
                }
                Piece::Namespace { .. } | Piece::Setting { .. } => {}
            }
        }
        // However the chunks are filled.
        let mut joined: Vec<Piece> = Vec::new();
        for piece in pieces {
            match (joined.last_mut(), piece) {
                (Some(Piece::Instances(before)), Piece::Instances(more)) => before.extend(more),
                (_, piece) => joined.push(piece),
            }
        }
        joined
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
