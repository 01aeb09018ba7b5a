//! What is decided together and committed at once.
//!
//! Each command of a group is decided against the state before the group. So one that must see another applied does
//! not join its group: it is given back, and taken again once the group is finished.

use std::collections::HashSet;

use beatrix_core::catalog::{
    Catalog, Command, Decision, GuardTurn, Keep, Mutation, Part, Refusal, Standing, Subject,
};
use beatrix_core::model::{Endpoint, Lifetime, Liveness, Mono, Origin, Registration, ServiceKey, SessionId};
use tokio::sync::oneshot;

use super::{Answer, Forced, Request};
use crate::registry::write::{WriteError, Written};

type Set<T> = HashSet<T, ahash::RandomState>;

/// A proposal that is decided and waits for its commit.
pub(super) struct Decided {
    pub(super) reply: Option<oneshot::Sender<Answer>>,
    /// Whose lease to tell, if it was a registration.
    pub(super) registered: Option<(ServiceKey, Endpoint)>,
    pub(super) mutations: Vec<Mutation>,
    pub(super) by: Origin,
    pub(super) keep: Keep,
}

/// What was decided and not committed yet, all in one commit.
#[derive(Default)]
pub(super) struct Group {
    decided: Vec<Decided>,
    /// Whose mutations are in it: a later command about one of them must see the earlier one applied.
    subjects: Set<(ServiceKey, Endpoint)>,
    /// In which services ephemeral and persistent instances may come into being: then a service may have more than the
    /// catalog knows.
    ephemeral: Set<ServiceKey>,
    persistent: Set<ServiceKey>,
    /// From which services instances may go.
    left: Set<ServiceKey>,
    /// Which connections may come to have instances, and in which services.
    sessions: Set<SessionId>,
    publishers: Set<(SessionId, ServiceKey)>,
    /// How many instances may come into being.
    reserved: usize,
    /// Whether what is in it is about more than instances.
    alone: bool,
    /// Which silent instances it was told of. They may have beaten often while the journal worked; once tells it.
    returned: Set<u32>,
    /// What operators had guards come to.
    guards: Vec<(GuardTurn, Origin)>,
}

/// An answer that is given once no lock is held.
pub(in crate::registry) enum Told {
    Answer(oneshot::Sender<Answer>, Answer),
    Ended(oneshot::Sender<bool>, bool),
    Forced(oneshot::Sender<Forced>, Forced),
}

impl Told {
    /// Whoever asked may have gone; what was done stays done.
    pub(super) fn tell(self) {
        match self {
            Self::Answer(reply, answer) => {
                let _gone_if_nobody_waits = reply.send(answer);
            }
            Self::Ended(reply, ended) => {
                let _gone_if_nobody_waits = reply.send(ended);
            }
            Self::Forced(reply, forced) => {
                let _gone_if_nobody_waits = reply.send(forced);
            }
        }
    }
}

impl Group {
    /// Decides a request and takes what it comes to. Answers it if that is nothing, and gives it back if it must see
    /// applied what is in the group.
    pub(super) fn take(
        &mut self,
        catalog: &mut Catalog,
        request: Request,
        now: Mono,
    ) -> Result<Option<Told>, Request> {
        match request {
            Request::Returned(slot) => {
                let command = Command::Returned { slot };
                if self.returned.contains(&slot) {
                    return Ok(None);
                }
                if self.blocks(catalog, &command) {
                    return Err(request);
                }
                self.returned.insert(slot);
                // A refusal is heard by nobody.
                if let Ok(Decision::Commit(mutations)) = catalog.decide(command, self.reserved, now) {
                    self.add(None, None, mutations, Origin::REGISTRY, Keep::Behind);
                }
                Ok(None)
            }
            // What is due is looked at after each turn anyhow.
            Request::Look => Ok(None),
            Request::EndGuard { .. } | Request::ForceGuard { .. } if !self.decided.is_empty() => Err(request),
            Request::EndGuard { service, by, reply } => {
                let ended = catalog.end_guard(service.as_ref(), now);
                let held = !ended.is_empty();
                self.guards.extend(ended.into_iter().map(|turn| (turn, by)));
                Ok(Some(Told::Ended(reply, held)))
            }
            Request::ForceGuard {
                service,
                lasts,
                by,
                reply,
            } => Ok(Some(match catalog.force_guard(service.as_ref(), lasts, now) {
                Ok((protected, turn)) => {
                    let reading = turn.reading;
                    self.guards.push((turn, by));
                    // It holds from now on; that those are protected whom it was late for follows.
                    if !protected.is_empty() {
                        self.add(None, None, protected, by, Keep::Behind);
                    }
                    Told::Forced(reply, Ok(reading))
                }
                Err(refusal) => Told::Forced(reply, Err(WriteError::Refused(refusal))),
            })),
            Request::Write { command, by, reply } => {
                if self.blocks(catalog, &command) {
                    return Err(Request::Write { command, by, reply });
                }
                self.decide(catalog, command, by, reply, now)
            }
        }
    }

    /// Whether a command must see applied what is in the group.
    fn blocks(&self, catalog: &Catalog, command: &Command) -> bool {
        if self.decided.is_empty() {
            return false;
        }
        if self.alone || command.stands_alone() {
            return true;
        }
        match command {
            Command::CloseSession { session } => {
                return self.sessions.contains(session)
                    || catalog
                        .instances_of(*session)
                        .any(|(service, endpoint)| self.is_about(service, endpoint));
            }
            Command::Publish {
                service,
                session,
                instances,
            } => {
                return self.persistent.contains(service)
                    || self.publishers.contains(&(*session, service.clone()))
                    || instances
                        .iter()
                        .any(|publication| self.is_about(service, &publication.endpoint))
                    || catalog
                        .published_by(service, *session)
                        .any(|endpoint| self.is_about(service, endpoint));
            }
            Command::Register {
                service,
                registration,
                uniform: true,
                ..
            } => {
                let other = match registration.liveness.kind().lifetime() {
                    Lifetime::Ephemeral => &self.persistent,
                    Lifetime::Persistent => &self.ephemeral,
                };
                if other.contains(service) {
                    return true;
                }
            }
            _ => {}
        }
        // Commands without a subject are about nothing that there is.
        let subject = catalog.subject(command);
        subject.is_some_and(|subject| self.subjects.contains(&subject))
    }

    fn is_about(&self, service: &ServiceKey, endpoint: &Endpoint) -> bool {
        self.subjects.contains(&(service.clone(), endpoint.clone()))
    }

    /// Whether a command may be refused for instances of another lifetime that go with what is in the group. Roughly, but
    /// never false if it could be.
    fn may_make_way(&self, catalog: &Catalog, command: &Command) -> bool {
        if self.decided.is_empty() {
            return false;
        }
        let (service, lifetime) = match command {
            Command::Register {
                service,
                registration,
                uniform: true,
                ..
            } => (service, registration.liveness.kind().lifetime()),
            Command::Publish { service, .. } => (service, Lifetime::Ephemeral),
            _ => return false,
        };
        // Either they go, or what registers is of another lifetime than they were.
        let registers = match lifetime {
            Lifetime::Ephemeral => &self.ephemeral,
            Lifetime::Persistent => &self.persistent,
        };
        (self.left.contains(service) || registers.contains(service))
            && catalog.has_of_lifetime(service.borrowed(), lifetime.other())
    }

    fn decide(
        &mut self,
        catalog: &mut Catalog,
        command: Box<Command>,
        by: Origin,
        reply: oneshot::Sender<Answer>,
        now: Mono,
    ) -> Result<Option<Told>, Request> {
        let registered = match &*command {
            Command::Register {
                service, endpoint, ..
            } => Some((service.clone(), endpoint.clone())),
            _ => None,
        };
        let reserved = self.reserved;
        let unsure = reserved > 0
            && match &*command {
                Command::Register { .. } => near_limits(catalog, reserved),
                Command::Publish { instances, .. } => near_limits(catalog, reserved + instances.len()),
                Command::Import { service, .. } => {
                    near_limits(catalog, reserved) || catalog.near_layers_max(service.borrowed(), reserved)
                }
                _ => false,
            };
        let keep = catalog.keep(&command);
        let again = (unsure || self.may_make_way(catalog, &command)).then(|| command.clone());
        let decision = catalog.decide(*command, reserved, now);
        // Not all that is in the group registers, and those who are in the way may go with it. What is refused with nothing
        // before it stays refused.
        if let Some(command) = again
            && matches!(
                decision,
                Err(Refusal::Limit { .. } | Refusal::OtherLifetime { .. })
            )
        {
            return Err(Request::Write { command, by, reply });
        }
        let answer = match decision {
            Ok(Decision::Commit(mutations)) => {
                self.add(Some(reply), registered, mutations, by, keep);
                return Ok(None);
            }
            Ok(Decision::Nothing) => Ok(written(catalog, false, registered)),
            Err(refusal) => Err(WriteError::Refused(refusal)),
        };
        Ok(Some(Told::Answer(reply, answer)))
    }

    fn add(
        &mut self,
        reply: Option<oneshot::Sender<Answer>>,
        registered: Option<(ServiceKey, Endpoint)>,
        mutations: Vec<Mutation>,
        by: Origin,
        keep: Keep,
    ) {
        self.reserved += mutations.len();
        for mutation in &mutations {
            match mutation.subject() {
                Subject::Instance(service, endpoint) => {
                    self.subjects.insert((service.clone(), endpoint.clone()));
                }
                Subject::Service(_) | Subject::Namespace(_) | Subject::Setting(_) | Subject::Registry => {
                    self.alone = true;
                }
            }
            if let Mutation::Removed { service, .. } = mutation
                && !self.left.contains(service)
            {
                self.left.insert(service.clone());
            }
            if let Some((service, registration)) = registration_of(mutation) {
                let of_lifetime = match registration.liveness.kind().lifetime() {
                    Lifetime::Ephemeral => &mut self.ephemeral,
                    Lifetime::Persistent => &mut self.persistent,
                };
                if !of_lifetime.contains(service) {
                    of_lifetime.insert(service.clone());
                }
                if let Liveness::Session(session) = registration.liveness {
                    self.sessions.insert(session);
                    self.publishers.insert((session, service.clone()));
                }
            }
        }
        self.decided.push(Decided {
            reply,
            registered,
            mutations,
            by,
            keep,
        });
    }

    /// What operators had guards come to since the last call.
    pub(super) fn take_guards(&mut self) -> Vec<(GuardTurn, Origin)> {
        std::mem::take(&mut self.guards)
    }

    pub(super) fn into_decided(self) -> Vec<Decided> {
        self.decided
    }
}

/// The registration that a mutation brings.
fn registration_of(mutation: &Mutation) -> Option<(&ServiceKey, &Registration)> {
    match mutation {
        Mutation::Registered {
            service,
            registration,
            ..
        } => Some((service, registration)),
        Mutation::Imported { service, part } => match &**part {
            Part::Instance(piece) => Some((service, &piece.registration)),
            Part::Layer(_) => None,
        },
        _ => None,
    }
}

/// Whether `reserved` more could reach a limit. Roughly, but never false if they could.
fn near_limits(catalog: &Catalog, reserved: usize) -> bool {
    let config = catalog.config();
    let instances_max = config.instances_max.min(config.instances_per_service_max);
    catalog.instances() + reserved >= instances_max || catalog.services() + reserved >= config.services_max
}

/// The answer to a write that was carried out.
pub(super) fn written(
    catalog: &Catalog,
    changed: bool,
    registered: Option<(ServiceKey, Endpoint)>,
) -> (Written, Option<Standing>) {
    let standing = registered.and_then(|(service, endpoint)| catalog.standing(service.borrowed(), &endpoint));
    let written = Written {
        revision: catalog.version().revision,
        changed,
    };
    (written, standing)
}
