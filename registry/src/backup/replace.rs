//! `--replace`: takes away what a backup does not name.
//!
//! The registry is exported as it is now, and both are read side by side: they are in the same order, so that neither
//! need be held. Only what would stay by itself is taken away, and only in the namespaces that the backup names.

use anyhow::Context;
use beatrix_core::model::{Lifetime, ServiceKey};
use beatrix_native::backup::check::Follower;
use beatrix_native::backup::entry::{Entry, Place, Within};
use beatrix_native::backup::write::line_into;
use beatrix_wire as wire;

use super::Lines;
use super::api::Api;
use super::import::{Contents, Entries, Sender};

pub(super) async fn run(
    api: &Api,
    sender: &mut Sender<'_>,
    mut backup: Entries<'_>,
    contents: &Contents,
) -> anyhow::Result<()> {
    let mut response = api.export(None).await?;
    let (mut lines, mut follower) = (Lines::default(), Follower::default());
    let mut named = backup.next()?.map(|(_, _, entry)| entry.place());
    // A service goes after what is in it.
    let mut last_service: Option<ServiceKey> = None;
    while let Some(piece) = response.chunk().await.context("the registry's state was cut")? {
        lines.push(&piece)?;
        while let Some(line) = lines.next_line() {
            let Some(entry) = follower.take(&line).context("the registry's state")? else {
                continue;
            };
            let place = entry.place();
            if let Some(service) = &last_service
                && !matches!(&place, Place::Service(of, _) if of == service)
            {
                let gone = Place::Service(service.clone(), Within::Itself);
                remove(sender, &gone).await?;
                last_service = None;
            }
            while named.as_ref().is_some_and(|named| *named < place) {
                named = backup.next()?.map(|(_, _, entry)| entry.place());
            }
            if named.as_ref() == Some(&place) || !is_to_go(&entry, &place, contents) {
                continue;
            }
            match place {
                Place::Service(service, Within::Itself) => last_service = Some(service),
                place => remove(sender, &place).await?,
            }
        }
    }
    follower.end().context("the registry's state")?;
    if let Some(service) = last_service {
        remove(sender, &Place::Service(service, Within::Itself)).await?;
    }
    sender.flush().await
}

fn is_to_go(entry: &Entry, place: &Place, contents: &Contents) -> bool {
    let stays_by_itself = match entry {
        Entry::Instance(_, piece) => piece.registration.liveness.kind().lifetime() == Lifetime::Persistent,
        _ => true,
    };
    let named = match place.namespace() {
        Some(namespace) => contents.namespaces.contains(namespace),
        None => contents.whole,
    };
    stays_by_itself && named
}

async fn remove(sender: &mut Sender<'_>, place: &Place) -> anyhow::Result<()> {
    let mut line = Vec::new();
    line_into(&mut line, &wire::BackupLine::Remove(place.removal()));
    sender.put(0, &line).await
}
