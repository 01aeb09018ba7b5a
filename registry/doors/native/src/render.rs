//! JSON of instances, views and updates.
//!
//! A view is rendered once and its bytes are shared; of a changed view only the chunk that changed is rendered anew.
//! The members are those of `beatrix-wire`, written from borrowed data.

use std::fmt::Display;
use std::time::Duration;

use beatrix_core::catalog::{Chunk, View};
use beatrix_core::model::{Health, Marks, Member, Metadata, OperatorLayer, Reason, ServiceKey};
use beatrix_engine::formats::{NATIVE, NATIVE_EVENT};
use beatrix_engine::hub::{Update, UpdateKind};
use beatrix_wire::{DELTA, SNAPSHOT};
use bytes::Bytes;
use serde::ser::{Serialize, SerializeMap, SerializeStruct, Serializer};

use crate::declaration;

/// An instance as `beatrix_wire::Instance`.
pub(crate) struct InstanceJson<'a>(pub(crate) &'a Member);

struct MetadataJson<'a>(&'a Metadata);
struct LayerJson<'a>(&'a OperatorLayer);
struct Text<T>(T);

impl<T: Display> Serialize for Text<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl Serialize for MetadataJson<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (key, value) in self.0 {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}

impl Serialize for LayerJson<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let layer = self.0;
        let mut json = serializer.serialize_struct("OperatorLayer", 5)?;
        if let Some(enabled) = layer.enabled {
            json.serialize_field("enabled", &enabled)?;
        }
        if let Some(weight) = layer.weight {
            json.serialize_field("weight", &weight.get())?;
        }
        if !layer.metadata.is_empty() {
            json.serialize_field("metadata", &MetadataJson(&layer.metadata))?;
        }
        if layer.draining {
            json.serialize_field("draining", &true)?;
        }
        if layer.sticky {
            json.serialize_field("sticky", &true)?;
        }
        json.end()
    }
}

impl Serialize for InstanceJson<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Member {
            endpoint,
            state,
            record,
            ..
        } = self.0;
        let registration = &record.registration;
        let health = match state.health {
            Health::Healthy => "healthy",
            Health::Unhealthy => "unhealthy",
        };
        let mut json = serializer.serialize_struct("Instance", 23)?;
        json.serialize_field("address", &Text(endpoint.address()))?;
        json.serialize_field("port", &endpoint.port())?;
        json.serialize_field("cluster", record.cluster().as_str())?;
        json.serialize_field("weight", &record.weight().get())?;
        if state.share.percent() < 100 {
            json.serialize_field("effective_weight", &self.0.effective_weight())?;
        }
        json.serialize_field("enabled", &record.enabled())?;
        json.serialize_field("metadata", &MetadataJson(record.metadata()))?;
        if let Some(locality) = &registration.locality {
            json.serialize_field("region", locality.region())?;
            if !locality.zone().is_empty() {
                json.serialize_field("zone", locality.zone())?;
            }
        }
        json.serialize_field("liveness", registration.liveness.kind().as_str())?;
        json.serialize_field("health", health)?;
        json.serialize_field("serving", &self.0.serving())?;
        json.serialize_field("reason", state.reason.as_str())?;
        if let Some(text) = record
            .declared
            .as_ref()
            .and_then(|declared| declared.reason.as_deref())
        {
            json.serialize_field("reason_text", text)?;
        }
        // In doubt, for whichever cause.
        if state.suspect() || state.marks.has(Marks::REPORTED) {
            json.serialize_field("suspect", &true)?;
        }
        for name in state.marks.with(Marks::SUSPECT, false).names() {
            json.serialize_field(name, &true)?;
        }
        if record.draining() {
            json.serialize_field("draining", &true)?;
        }
        json.serialize_field("since_ms", &state.since.0)?;
        if let Some(since) = state.serving_since() {
            json.serialize_field("serving_since_ms", &since.0)?;
        }
        json.serialize_field("revision", &state.revision.0)?;
        if let Some(layer) = record.operator() {
            json.serialize_field("operator", &LayerJson(layer))?;
        }
        json.end()
    }
}

/// A time as all times are told.
pub(crate) fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Appends a value. Writing text and numbers into memory cannot fail.
fn write(into: &mut Vec<u8>, value: &impl Serialize) {
    let written = serde_json::to_writer(into, value);
    debug_assert!(written.is_ok());
}

fn write_members<'a>(into: &mut Vec<u8>, members: impl Iterator<Item = &'a Member>) {
    for (place, member) in members.enumerate() {
        if place > 0 {
            into.push(b',');
        }
        write(into, &InstanceJson(member));
    }
}

/// Opens an object with the members that views and deltas share; the first revision is the delta's start.
fn write_head(into: &mut Vec<u8>, key: &ServiceKey, epoch: impl Display, from: Option<u64>, revision: u64) {
    into.extend_from_slice(b"{\"namespace\":");
    write(into, &key.namespace.as_str());
    into.extend_from_slice(b",\"group\":");
    write(into, &key.group.as_str());
    into.extend_from_slice(b",\"service\":");
    write(into, &key.name.as_str());
    into.extend_from_slice(b",\"epoch\":");
    write(into, &Text(epoch));
    if let Some(from) = from {
        into.extend_from_slice(b",\"from_revision\":");
        write(into, &from);
    }
    into.extend_from_slice(b",\"revision\":");
    write(into, &revision);
}

fn chunk(chunk: &Chunk) -> Bytes {
    chunk.renders().get(NATIVE, || {
        let mut json = Vec::with_capacity(chunk.members().len() * 384);
        write_members(&mut json, chunk.members().iter());
        json.into()
    })
}

fn open_view(view: &View, into: &mut Vec<u8>) {
    write_head(into, &view.key, view.epoch, None, view.revision.0);
    into.extend_from_slice(b",\"complete\":");
    write(into, &view.complete);
    if let Some(reason) = view.emptied_by {
        into.extend_from_slice(b",\"emptied_by\":");
        write(into, &reason.as_str());
    }
    if let Some(slow_start) = view.settings.as_ref().and_then(|said| said.slow_start) {
        into.extend_from_slice(b",\"slow_start\":");
        write(into, &declaration::shown(slow_start));
    }
    into.extend_from_slice(b",\"instances\":[");
}

/// A whole view as `beatrix_wire::ServiceView`.
pub(crate) fn view(view: &View) -> Bytes {
    view.renders().get(NATIVE, || {
        let chunks: Vec<Bytes> = view.chunks().iter().map(|shared| chunk(shared)).collect();
        let mut json = Vec::with_capacity(512 + chunks.iter().map(|chunk| chunk.len() + 1).sum::<usize>());
        open_view(view, &mut json);
        for (place, chunk) in chunks.iter().enumerate() {
            if place > 0 {
                json.push(b',');
            }
            json.extend_from_slice(chunk);
        }
        json.extend_from_slice(b"]}");
        json.into()
    })
}

/// A view of those instances that `wanted` lets through.
pub(crate) fn filtered_view(view: &View, wanted: impl Fn(&Member) -> bool) -> Bytes {
    let mut json = Vec::with_capacity(1024);
    open_view(view, &mut json);
    write_members(&mut json, view.members().filter(|member| wanted(member)));
    json.extend_from_slice(b"]}");
    json.into()
}

/// One instance.
pub(crate) fn instance(member: &Member) -> Bytes {
    let mut json = Vec::with_capacity(512);
    write(&mut json, &InstanceJson(member));
    json.into()
}

/// An update as the lines `event` and `data` of an event, without its id and its end.
pub(crate) fn event(update: &Update) -> Bytes {
    update.renders().get(NATIVE, || {
        let mut text = Vec::with_capacity(1024);
        match &update.kind {
            UpdateKind::Snapshot(whole) => {
                text.extend_from_slice(format!("event: {SNAPSHOT}\ndata: ").as_bytes());
                text.extend_from_slice(&view(whole));
            }
            UpdateKind::Delta { from, delta } => {
                text.extend_from_slice(format!("event: {DELTA}\ndata: ").as_bytes());
                write_head(
                    &mut text,
                    &update.key,
                    update.to.epoch,
                    Some(from.0),
                    update.to.revision.0,
                );
                text.extend_from_slice(b",\"complete\":");
                write(&mut text, &update.complete);
                text.extend_from_slice(b",\"upserted\":[");
                write_members(&mut text, delta.upserted.iter());
                text.extend_from_slice(b"],\"removed\":[");
                for (place, removed) in delta.removed.iter().enumerate() {
                    if place > 0 {
                        text.push(b',');
                    }
                    text.extend_from_slice(b"{\"address\":");
                    write(&mut text, &Text(removed.endpoint.address()));
                    text.extend_from_slice(b",\"port\":");
                    write(&mut text, &removed.endpoint.port());
                    text.extend_from_slice(b",\"reason\":");
                    write(&mut text, &Reason::as_str(removed.reason));
                    text.extend_from_slice(b",\"revision\":");
                    write(&mut text, &removed.revision.0);
                    text.push(b'}');
                }
                text.extend_from_slice(b"]}");
            }
        }
        text.push(b'\n');
        text.into()
    })
}

/// The end of an event: the id to resume from.
pub(crate) fn event_end(id: impl Display) -> Bytes {
    format!("id: {id}\n\n").into()
}

/// A whole event whose id is the state that it leads to: for subscribers of one service, who all get these bytes.
pub(crate) fn whole_event(update: &Update) -> Bytes {
    update.renders().get(NATIVE_EVENT, || {
        [event(update), event_end(update.to)].concat().into()
    })
}

/// An event that is not about a service.
pub(crate) fn plain_event(name: &str, data: &impl Serialize, id: impl Display) -> Bytes {
    let mut text = format!("event: {name}\ndata: ").into_bytes();
    write(&mut text, data);
    text.push(b'\n');
    text.extend_from_slice(&event_end(id));
    text.into()
}
