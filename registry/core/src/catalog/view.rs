//! One service at one revision: immutable, shared, rendered once for each format.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;

use crate::model::{Endpoint, Epoch, Member, Reason, Revision, ServiceKey, ServiceSettings, Version};

use super::roster::Chunk;

/// How many formats can be rendered.
pub const FORMATS: usize = 4;

/// Names a rendered form. Each door has its own, given by the engine; the core only keeps the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Format(u8);

impl Format {
    /// The format of this number.
    ///
    /// # Panics
    /// If the number is not below [`FORMATS`]; formats are constants, so this is seen when compiling.
    #[must_use]
    pub const fn new(number: u8) -> Self {
        assert!((number as usize) < FORMATS, "there is room for this format");
        Self(number)
    }
}

/// Bytes that were rendered, by format.
#[derive(Debug, Default)]
pub struct Renders([OnceLock<Bytes>; FORMATS]);

impl Renders {
    /// The bytes in `format`; made by `render` when nobody asked before. Of several who ask at once one renders and
    /// the others wait for it.
    pub fn get(&self, format: Format, render: impl FnOnce() -> Bytes) -> Bytes {
        self.0[usize::from(format.0)].get_or_init(render).clone()
    }

    pub(super) fn clear(&mut self) {
        self.0 = Default::default();
    }
}

/// One service at one revision.
#[derive(Debug)]
pub struct View {
    /// Which service.
    pub key: ServiceKey,
    /// The history that the revision counts in.
    pub epoch: Epoch,
    /// The revision of the last change in the service, or of what is said about it; 0 if there never was one.
    pub revision: Revision,
    /// False while the registry may not know all instances yet.
    pub complete: bool,
    /// Why the last instance left, if the service is empty and once was not.
    pub emptied_by: Option<Reason>,
    /// What was declared about the service; `None` if nothing ever was.
    pub settings: Option<Arc<ServiceSettings>>,
    /// How many instances are healthy.
    pub healthy: usize,
    /// How many instances callers should use now.
    pub serving: usize,
    pub(super) chunks: Box<[Arc<Chunk>]>,
    pub(super) len: usize,
    pub(super) renders: Renders,
}

impl View {
    /// The view of a service that does not exist.
    #[must_use]
    pub fn absent(key: ServiceKey, epoch: Epoch, complete: bool) -> Self {
        Self {
            key,
            epoch,
            revision: Revision::ZERO,
            complete,
            emptied_by: None,
            settings: None,
            healthy: 0,
            serving: 0,
            chunks: Box::default(),
            len: 0,
            renders: Renders::default(),
        }
    }

    /// The instances, ordered by endpoint.
    pub fn members(&self) -> impl Iterator<Item = &Member> {
        self.chunks.iter().flat_map(|chunk| chunk.members())
    }

    /// The instances in the pieces in which they are kept; each keeps what was rendered of it.
    #[must_use]
    pub fn chunks(&self) -> &[Arc<Chunk>] {
        &self.chunks
    }

    /// The instance at `endpoint`.
    #[must_use]
    pub fn get(&self, endpoint: &Endpoint) -> Option<&Member> {
        let after = self
            .chunks
            .partition_point(|chunk| chunk.members()[0].endpoint <= *endpoint);
        let chunk = self.chunks.get(after.checked_sub(1)?)?.members();
        chunk
            .binary_search_by(|member| member.endpoint.cmp(endpoint))
            .ok()
            .map(|place| &chunk[place])
    }

    /// How many instances there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Epoch and revision together.
    #[must_use]
    pub fn version(&self) -> Version {
        Version {
            epoch: self.epoch,
            revision: self.revision,
        }
    }

    /// What was rendered of the whole view.
    #[must_use]
    pub fn renders(&self) -> &Renders {
        &self.renders
    }
}
