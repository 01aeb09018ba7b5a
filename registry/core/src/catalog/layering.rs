//! Operator's layers: what is set over an instance, how long it outlives it, and who waits for one.

use std::sync::Arc;

use crate::changes::ChangeKind;
use crate::model::{
    Endpoint, Incarnation, Mono, OperatorLayer, OperatorPatch, Reason, Record, ServiceKey, ServiceRef,
};

use super::Catalog;
use super::apply::Moment;
use super::command::Mutation;
use super::decide::Decision;
use super::due::{DUE_MAX, LOOK_AGAIN};
use super::piece::LayerOf;
use super::refusal::Refusal;
use super::service::{CountedAs, Service, Shared};

/// How many operator's layers a service may have. Sticky ones outlive their instances, so that no other limit holds
/// for them.
pub const LAYERS_PER_SERVICE_MAX: usize = 10_000;

/// An operator's layer with what is needed to end it.
#[derive(Debug, Clone)]
pub(super) struct KeptLayer {
    pub(super) layer: OperatorLayer,
    /// Whose it is.
    pub(super) of: LayerOf,
    /// Since when there is no such instance; not told of a sticky one.
    pub(super) gone_since: Option<Mono>,
}

impl KeptLayer {
    /// Whether a registration of this run ends it: a layer belongs to one run of a process, unless it is sticky.
    fn ends_with(&self, incarnation: Option<&Incarnation>) -> bool {
        match &self.of {
            LayerOf::Run(of) => !self.layer.sticky && of.as_ref() != incarnation,
            LayerOf::Next => false,
        }
    }
}

/// An operator's layer in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerInfo {
    /// What names the instance.
    pub endpoint: Endpoint,
    /// What is set over it.
    pub layer: OperatorLayer,
    /// Whether there is such an instance.
    pub present: bool,
}

impl Catalog {
    /// The operator's layers of a service, also those of instances that are gone or have yet to come; ordered by
    /// endpoint, at most [`LAYERS_PER_SERVICE_MAX`] or about.
    #[must_use]
    pub fn layers(&self, service: ServiceRef<'_>) -> Vec<LayerInfo> {
        let Some((_, service)) = self.service(service) else {
            return Vec::new();
        };
        let layers = service.layers.iter().map(|(endpoint, kept)| LayerInfo {
            endpoint: endpoint.clone(),
            layer: kept.layer.clone(),
            present: service.roster.get(endpoint).is_some(),
        });
        layers.collect()
    }

    /// The operator's layer of this endpoint, also of an instance that is gone or has yet to come.
    #[must_use]
    pub fn layer(&self, service: ServiceRef<'_>, endpoint: &Endpoint) -> Option<OperatorLayer> {
        let (_, service) = self.service(service)?;
        service.layer(endpoint).map(|kept| kept.layer.clone())
    }

    /// Whether so many more layers could be too many for a service.
    #[must_use]
    pub fn near_layers_max(&self, service: ServiceRef<'_>, more: usize) -> bool {
        let there = self.service(service).map_or(0, |(_, found)| found.layers.len());
        there + more >= LAYERS_PER_SERVICE_MAX
    }

    pub(super) fn decide_operate(
        &self,
        service: ServiceKey,
        endpoint: Endpoint,
        patch: &OperatorPatch,
        ahead: bool,
    ) -> Result<Decision, Refusal> {
        let found = match self.service(service.borrowed()) {
            Some((_, found)) if ahead => found,
            _ => self.find(&service, &endpoint)?.0,
        };
        let before = found.layer(&endpoint).map(|kept| &kept.layer);
        let fresh = || patch.fresh.as_deref().cloned().unwrap_or_default();
        let after = before.cloned().unwrap_or_else(fresh).patched(patch)?;
        let same = match before {
            Some(before) => *before == after,
            None => after.is_empty() && !after.sticky,
        };
        if same {
            return Ok(Decision::Nothing);
        }
        if before.is_none() && found.layers.len() >= LAYERS_PER_SERVICE_MAX {
            return Err(Refusal::Limit {
                limit: "operator_layers_per_service_max",
                max: LAYERS_PER_SERVICE_MAX,
            });
        }
        let layer = (!after.is_empty() || after.sticky).then(|| Box::new(after));
        Ok(Decision::Commit(vec![Mutation::Operated {
            service,
            endpoint,
            layer,
        }]))
    }

    pub(super) fn decide_clear(&self, service: ServiceKey, endpoint: Endpoint) -> Result<Decision, Refusal> {
        let Some((_, found)) = self.service(service.borrowed()) else {
            return Err(Refusal::ServiceNotFound(service));
        };
        if found.layer(&endpoint).is_none() {
            return match found.roster.get(&endpoint) {
                Some(_) => Ok(Decision::Nothing),
                None => Err(Refusal::InstanceNotFound(service, endpoint)),
            };
        }
        Ok(Decision::Commit(vec![Mutation::Operated {
            service,
            endpoint,
            layer: None,
        }]))
    }

    pub(super) fn operate(
        &mut self,
        key: &ServiceKey,
        endpoint: &Endpoint,
        layer: Option<&OperatorLayer>,
        moment: Moment,
    ) -> Option<Arc<Shared>> {
        let index = self.index_of(key)?;
        let service = self.services[index as usize].as_mut()?;
        let begin = service.begin_share();
        let Some(member) = service.roster.get_mut(endpoint) else {
            // Of an instance that is not there nobody sees a change.
            self.operate_absent(index, endpoint, layer, moment.now);
            return None;
        };
        let (counted, served) = (CountedAs::from(&*member), member.service());
        let registration = member.record.registration.clone();
        match layer {
            Some(layer) => {
                let kept = KeptLayer {
                    layer: layer.clone(),
                    of: LayerOf::Run(registration.incarnation.clone()),
                    gone_since: None,
                };
                service.layers.insert(endpoint.clone(), kept);
            }
            None => {
                service.layers.remove(endpoint);
            }
        }
        member.record = Arc::new(Record::new(registration, layer, member.record.declared.clone()));
        member.state.revision = moment.revision;
        let began = member.note_service(served, begin, moment.at);
        let (number, share, now_counted) = (member.slot, member.state.share, CountedAs::from(&*member));
        self.recount(index, Some(counted), Some(now_counted));
        self.follow_ramp(index, number, share, began, moment.now);
        self.show_confirmed(index, endpoint);
        Some(self.changed(
            index,
            endpoint.clone(),
            ChangeKind::Operator,
            Reason::Operator,
            moment,
        ))
    }

    /// Sets the layer of an instance that is not there, or ends it.
    fn operate_absent(&mut self, index: u32, endpoint: &Endpoint, layer: Option<&OperatorLayer>, now: Mono) {
        let Some(service) = self.services[index as usize].as_mut() else {
            return;
        };
        let key = service.key().clone();
        let before = service.layers.remove(endpoint);
        if let Some(since) = before.and_then(|kept| kept.gone_since) {
            self.gone_layers.remove(&(since, key.clone(), endpoint.clone()));
        }
        if let Some(layer) = layer {
            let gone_since = (!layer.sticky).then_some(now);
            let kept = KeptLayer {
                layer: layer.clone(),
                of: LayerOf::Next,
                gone_since,
            };
            service.layers.insert(endpoint.clone(), kept);
            self.gone_layers
                .extend(gone_since.map(|since| (since, key, endpoint.clone())));
        } else if let Some(since) = service.empty_since.filter(|_| service.layers.is_empty()) {
            self.emptied.insert((since, key));
        }
    }

    /// A registration comes: the layer that waits for it is no longer without an instance, or ends. Returns what is
    /// set over the registration.
    pub(super) fn layer_for(
        &mut self,
        index: u32,
        endpoint: &Endpoint,
        incarnation: Option<&Incarnation>,
    ) -> Option<OperatorLayer> {
        let service = self.services[index as usize].as_mut()?;
        let kept = service.layers.get_mut(endpoint)?;
        let since = kept.gone_since.take();
        let ends = kept.ends_with(incarnation);
        kept.of = LayerOf::Run(incarnation.cloned());
        let layer = (!ends).then(|| kept.layer.clone());
        if ends {
            service.layers.remove(endpoint);
        }
        if let Some(since) = since {
            let key = service.key().clone();
            self.gone_layers.remove(&(since, key, endpoint.clone()));
        }
        layer
    }

    /// An instance has gone. A client that says goodbye takes the operator's layer with it; one that was lost may
    /// come back to it.
    pub(super) fn layer_without(&mut self, index: u32, endpoint: &Endpoint, reason: Reason, now: Mono) {
        let Some(service) = self.services[index as usize].as_mut() else {
            return;
        };
        let Some(kept) = service.layers.get_mut(endpoint).filter(|kept| !kept.layer.sticky) else {
            return;
        };
        if reason == Reason::Deregistered {
            service.layers.remove(endpoint);
        } else {
            kept.gone_since = Some(now);
            let key = service.key().clone();
            self.gone_layers.insert((now, key, endpoint.clone()));
        }
    }

    /// Ends the layers whose time without an instance is over; of very many the first, and the others in the next turn.
    pub(super) fn drop_layers(&mut self, now: Mono, mutations: &mut Vec<Mutation>) {
        for _ in 0..DUE_MAX {
            let first = self.gone_layers.first();
            if first.is_none_or(|(since, ..)| now < since.after(self.config.layer_kept)) {
                return;
            }
            let Some((since, key, endpoint)) = self.gone_layers.pop_first() else {
                return;
            };
            let Some(index) = self.published.get(key.borrowed()).map(|shared| shared.index) else {
                continue;
            };
            let kept = self.services[index as usize]
                .as_mut()
                .and_then(|service: &mut Service| service.layers.get_mut(&endpoint));
            // It may have come back and gone again since: then a later entry stands for it.
            let Some(kept) = kept.filter(|kept| kept.gone_since == Some(since)) else {
                continue;
            };
            // Its end may fail to be committed: then it comes up again.
            let kept_for = self.config.layer_kept.as_micros() as u64;
            let again = Mono(now.after(LOOK_AGAIN).0.saturating_sub(kept_for));
            kept.gone_since = Some(again);
            self.gone_layers.insert((again, key.clone(), endpoint.clone()));
            mutations.push(Mutation::Operated {
                service: key,
                endpoint,
                layer: None,
            });
        }
    }
}
