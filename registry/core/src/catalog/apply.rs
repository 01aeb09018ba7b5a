//! Doing what was committed: the one place where membership changes.

use std::sync::Arc;

use crate::changes::{Change, ChangeKind};
use crate::model::{
    Begun, Declared, Endpoint, Health, Lease, Liveness, Marks, Member, Mono, Origin, Reason, Record,
    Registration, Revision, ServiceKey, Share, State, Wall,
};

use super::Catalog;
use super::command::{Committed, Mutation};
use super::measured::{asked_alike, stays_measured};
use super::population::Recalled;
use super::service::{CountedAs, Shared};
use super::slots::Slot;

/// What one mutation is done under: its place in history, and the owner's time.
#[derive(Clone, Copy)]
pub(super) struct Moment {
    pub(super) revision: Revision,
    pub(super) at: Wall,
    pub(super) by: Origin,
    pub(super) now: Mono,
}

impl Catalog {
    /// Applies one committed mutation. Returns the service that it changed, for whoever pushes views.
    ///
    /// `now` is liveness time: an instance that is registered here begins its silence now, whenever it was committed.
    /// A mutation of an instance that is not there changes nothing but the revision: with a shared journal two nodes
    /// may remove the same one.
    pub fn apply(&mut self, committed: Committed, now: Mono) -> Option<Arc<Shared>> {
        debug_assert!(committed.revision > self.revision, "revisions strictly grow");
        self.revision = committed.revision;
        if self.is_restored(&committed) {
            return None;
        }
        let moment = Moment {
            revision: committed.revision,
            at: committed.at,
            by: committed.by,
            now,
        };
        match committed.mutation {
            Mutation::Registered {
                service,
                endpoint,
                registration,
                health,
                lease,
            } => Some(self.register(service, endpoint, *registration, health, lease, moment)),
            Mutation::Removed {
                service,
                endpoint,
                reason,
            } => self.remove(&service, &endpoint, reason, moment),
            Mutation::Measured {
                service,
                endpoint,
                health,
                marks,
                reason,
            } => self.measure(&service, &endpoint, health, marks, reason, moment),
            Mutation::Declared {
                service,
                endpoint,
                declared,
            } => self.declare(&service, &endpoint, declared, moment),
            Mutation::Operated {
                service,
                endpoint,
                layer,
            } => self.operate(&service, &endpoint, layer.as_deref(), moment),
            Mutation::Imported { service, part } => self.import(service, *part, moment),
            Mutation::Ramped { service, shares } => self.ramp(&service, shares, moment),
            // None of these is a change of membership: nothing is pushed.
            Mutation::ServiceDeclared { service, settings } => {
                self.declare_service(service, *settings, moment);
                None
            }
            Mutation::ServiceRemoved { service } => {
                self.remove_service(&service);
                None
            }
            Mutation::NamespaceDeclared { namespace, info } => {
                self.declare_namespace(namespace, info);
                None
            }
            Mutation::NamespaceRemoved { namespace } => {
                self.remove_namespace(&namespace);
                None
            }
            Mutation::SettingChanged { name, value } => {
                self.change_setting(name, value, moment.now);
                None
            }
            Mutation::Warmed => {
                self.warmed(moment.revision);
                None
            }
        }
    }

    pub(super) fn register(
        &mut self,
        key: ServiceKey,
        endpoint: Endpoint,
        mut registration: Registration,
        health: Health,
        lease: Lease,
        moment: Moment,
    ) -> Arc<Shared> {
        let index = self.service_or_new(key, moment.revision);
        let known = self.slot_number(index, &endpoint);
        let mut mark = Marks::NONE;
        // Connections died with the process: what a journal tells of them is of nobody, and there may be very much of it.
        let tracks = self.restoring.is_none();
        if let Some(number) = known {
            mark = self.inherited_mark(number, &registration);
            self.forget_silence(number, false);
            self.reports.drop_slot(number);
            if tracks {
                self.take_over(index, &endpoint, &registration.liveness);
            }
        }
        let service = self.services[index as usize]
            .as_mut()
            .expect("found or made above");
        registration.cluster = service.clusters.enter(&registration.cluster);
        let layer = self.layer_for(index, &endpoint, registration.incarnation.as_ref());
        let liveness = registration.liveness.clone();
        let number = match known {
            Some(number) => number,
            None => self.slots.insert(Slot::new(index, endpoint.clone())),
        };
        let before = known.and_then(|number| self.at_slot(number));
        let alike =
            before.is_some_and(|(.., member)| asked_alike(&member.record.registration, &registration));
        let same_health = before.is_some_and(|(.., member)| member.state.health == health);
        let recalled = self.recalled(number);
        if let Some(slot) = self.slots.get_mut(number) {
            let streak = slot.streak;
            slot.begin(&liveness, registration.expires, moment.now);
            // Or one that registers often would never be found dead.
            if alike && same_health {
                slot.streak = streak;
            }
        }
        self.count_recalled(index, recalled, self.recalled(number));
        if let Liveness::Session(session) = liveness
            && tracks
        {
            self.sessions.enter(session, index, number);
        }
        let service = self.services[index as usize]
            .as_mut()
            .expect("found or made above");
        let measured = service.roster.get(&endpoint).and_then(|member| {
            let stays = member.state.health == health && stays_measured(member, &registration);
            stays.then_some(member.state.reason)
        });
        let identity = self.beats.identity(service.key().borrowed(), &endpoint);
        let interval = match liveness {
            Liveness::Beat(timings) => Some(timings.interval()),
            _ => None,
        };
        self.beats.occupy(number, identity, lease, interval, moment.now);

        let begin = service.begin_share();
        let record = Arc::new(Record::new(registration, layer.as_ref(), None));
        let fresh = State {
            health,
            marks: mark,
            // What probes have measured stays measured. It is doubted no longer, but still healthy.
            reason: match measured {
                Some(Reason::Guarded | Reason::Reported) if health == Health::Healthy => Reason::ProbePassed,
                Some(Reason::Guarded | Reason::Reported) => Reason::ProbeFailed,
                Some(reason) => reason,
                None => Reason::Registered,
            },
            revision: moment.revision,
            since: moment.at,
            share: Share::FULL,
            begun: Begun::NEVER,
        };
        let (kind, began, share) = match service.roster.get_mut(&endpoint) {
            Some(member) => {
                let counted = CountedAs::from(&*member);
                // Another run of the process is as new as another instance.
                let same_run = member.record.registration.incarnation == record.registration.incarnation;
                let served = member.service().filter(|_| same_run);
                let since = if member.state.health == health {
                    member.state.since
                } else {
                    moment.at
                };
                member.state = State { since, ..fresh };
                let before = std::mem::replace(&mut member.record, record);
                let began = member.note_service(served, begin, moment.at);
                let (share, now_counted) = (member.state.share, CountedAs::from(&*member));
                service.clusters.leave(before.cluster());
                self.recount(index, Some(counted), Some(now_counted));
                (ChangeKind::Updated, began, share)
            }
            None => {
                let mut member = Member {
                    endpoint: endpoint.clone(),
                    slot: number,
                    state: fresh,
                    record,
                };
                let began = member.note_service(None, begin, moment.at);
                let (share, counted) = (member.state.share, CountedAs::from(&member));
                service.roster.insert(member);
                if let Some(since) = service.empty_since.take() {
                    self.emptied.remove(&(since, service.key().clone()));
                }
                service.emptied_by = None;
                self.recount(index, None, Some(counted));
                (ChangeKind::Registered, began, share)
            }
        };
        self.follow_ramp(index, number, share, began, moment.now);
        if health == Health::Healthy && !self.flaps.is_empty() {
            self.flaps
                .healthy(number, mark.has(Marks::FLAPPING), &self.config.flap);
        }
        self.flag(number);
        self.arm(number);
        if !alike {
            self.schedule_probe(number, moment.now);
        } else if !same_health {
            self.probes.settle(number);
        }
        self.changed(index, endpoint, kind, Reason::Registered, moment)
    }

    fn remove(
        &mut self,
        key: &ServiceKey,
        endpoint: &Endpoint,
        reason: Reason,
        moment: Moment,
    ) -> Option<Arc<Shared>> {
        let index = self.index_of(key)?;
        let number = self.slot_number(index, endpoint)?;
        // A connection that closes takes its instances along at once; one that died with the process before is missed.
        let missed = reason == Reason::SessionClosed && self.is_unconfirmed(number);
        self.forget_silence(number, reason == Reason::Expired || missed);
        if missed {
            self.note_missed(index, moment.now);
        }
        self.count_recalled(index, self.recalled(number), Recalled::default());
        self.flaps.forget(number);
        self.leave_session(index, endpoint);
        self.standbys.drop_slot(index, number);
        self.unschedule_probe(number);
        let service = self.services[index as usize].as_mut()?;
        let member = service.roster.remove(endpoint)?;
        self.beats.vacate(number);
        self.reports.drop_slot(number);
        self.slots.remove(number);

        let service = self.services[index as usize].as_mut()?;
        if service.roster.is_empty() {
            service.emptied_by = Some(reason);
            service.empty_since = Some(moment.now);
            self.emptied.insert((moment.now, key.clone()));
        }
        service.clusters.leave(member.record.cluster());
        self.layer_without(index, endpoint, reason, moment.now);
        self.recount(index, Some(CountedAs::from(&member)), None);
        self.follow_ramp(index, number, Share::FULL, false, moment.now);
        Some(self.changed(index, endpoint.clone(), ChangeKind::Removed, reason, moment))
    }

    fn measure(
        &mut self,
        key: &ServiceKey,
        endpoint: &Endpoint,
        health: Health,
        marks: Marks,
        reason: Reason,
        moment: Moment,
    ) -> Option<Arc<Shared>> {
        if let Some(shared) = self.measure_reported(key, endpoint, health, marks, reason, moment) {
            return Some(shared);
        }
        let index = self.index_of(key)?;
        let service = self.services[index as usize].as_mut()?;
        let begin = service.begin_share();
        let member = service.roster.get_mut(endpoint)?;
        let (counted, served) = (CountedAs::from(&*member), member.service());
        let before = member.state;
        let confirmed = !marks.has(Marks::UNCONFIRMED);
        let state = &mut member.state;
        if state.health != health {
            state.since = moment.at;
        }
        *state = State {
            health,
            marks,
            reason,
            revision: moment.revision,
            ..*state
        };
        let began = member.note_service(served, begin, moment.at);
        let (number, after) = (member.slot, member.state);
        let now_counted = CountedAs::from(&*member);
        self.recount(index, Some(counted), Some(now_counted));
        self.note_reported(number, index, marks.has(Marks::REPORTED), moment.now);
        self.follow_ramp(index, number, after.share, began, moment.now);
        if confirmed {
            self.confirm(number);
        }

        self.note_flap(number, before, after, moment.now);
        let slot = self.slots.get(number);
        if slot.is_some_and(|slot| slot.timings.is_some() || slot.probed) {
            let suspect = marks.has(Marks::SUSPECT);
            let silent = matches!(reason, Reason::Silent | Reason::ProbeFailed) || suspect;
            self.note_silence(number, silent, suspect, moment.now);
        }
        Some(self.changed(index, endpoint.clone(), ChangeKind::Health, reason, moment))
    }

    fn declare(
        &mut self,
        key: &ServiceKey,
        endpoint: &Endpoint,
        declared: Option<Arc<Declared>>,
        moment: Moment,
    ) -> Option<Arc<Shared>> {
        let index = self.index_of(key)?;
        let service = self.services[index as usize].as_mut()?;
        let begin = service.begin_share();
        let member = service.roster.get_mut(endpoint)?;
        let (counted, served) = (CountedAs::from(&*member), member.service());
        let before = member.state;
        Arc::make_mut(&mut member.record).declared = declared;
        let state = &mut member.state;
        let health = match member.record.unwell() {
            true => Health::Unhealthy,
            // It takes back what it said itself, but not what silence or a probe said.
            false if state.reason == Reason::Declared => Health::Healthy,
            false => state.health,
        };
        if state.health != health {
            state.health = health;
            state.reason = Reason::Declared;
            state.since = moment.at;
        }
        state.revision = moment.revision;
        let began = member.note_service(served, begin, moment.at);
        let (number, after) = (member.slot, member.state);
        let now_counted = CountedAs::from(&*member);
        self.recount(index, Some(counted), Some(now_counted));
        self.follow_ramp(index, number, after.share, began, moment.now);
        if before.health != after.health {
            self.note_flap(number, before, after, moment.now);
        }
        self.show_confirmed(index, endpoint);
        self.flag(number);
        Some(self.changed(
            index,
            endpoint.clone(),
            ChangeKind::Health,
            Reason::Declared,
            moment,
        ))
    }

    /// Enters a change into the log and tells readers of the service that their view is stale.
    pub(super) fn changed(
        &mut self,
        index: u32,
        endpoint: Endpoint,
        kind: ChangeKind,
        reason: Reason,
        moment: Moment,
    ) -> Arc<Shared> {
        let service = self.services[index as usize]
            .as_mut()
            .expect("the service that was just changed");
        let change = Change {
            revision: moment.revision,
            at: moment.at,
            by: moment.by,
            service: service.key().clone(),
            endpoint,
            kind,
            reason,
            previous: service.last_change,
        };
        service.last_change = Some(self.log.push(change));
        service.touch(moment.revision);
        debug_assert!(service.roster.len() > 64 || service.counts_agree());
        Arc::clone(&service.shared)
    }

    pub(super) fn index_of(&mut self, key: &ServiceKey) -> Option<u32> {
        let recent = self.services.get(self.recent as usize).and_then(Option::as_ref);
        if !recent.is_some_and(|service| service.key().is_clone_of(key)) {
            self.recent = self.published.get(key.borrowed())?.index;
        }
        Some(self.recent)
    }

    pub(super) fn recount(&mut self, index: u32, before: Option<CountedAs>, after: Option<CountedAs>) {
        let service = self.services[index as usize]
            .as_mut()
            .expect("the service that is being changed");
        let (healthy, beating) = (service.healthy, service.population.beating);
        // Added before it is taken out, so that no count passes below zero.
        if let Some(after) = after {
            service.count(&after, true);
        }
        if let Some(before) = before {
            service.count(&before, false);
        }
        self.healthy = self.healthy + service.healthy - healthy;
        if service.expires() {
            self.population.beating = self.population.beating + service.population.beating - beating;
        }
    }

    pub(super) fn slot_number(&self, index: u32, endpoint: &Endpoint) -> Option<u32> {
        Some(self.services[index as usize].as_ref()?.roster.get(endpoint)?.slot)
    }
}
