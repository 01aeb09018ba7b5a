//! A disk in memory that can be filled, broken and cut from its power.
//!
//! What was written and not synced when the power goes is there, or not, or half of it, sector by sector: as real disks
//! do it.

use std::io;
use std::sync::Arc;

use beatrix_engine::journal::embedded::disk::Disk;
use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

const SECTOR: usize = 512;

#[derive(Debug, Clone)]
enum Op {
    Write(usize, Vec<u8>),
    Len(usize),
}

impl Op {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Len(len) => bytes.resize(*len, 0),
            Self::Write(at, data) => {
                if bytes.len() < at + data.len() {
                    bytes.resize(at + data.len(), 0);
                }
                bytes[*at..at + data.len()].copy_from_slice(data);
            }
        }
    }
}

type Cut = Box<dyn FnOnce(SimDisk) + Send>;

#[derive(Default)]
struct State {
    /// What a loss of power leaves in any case.
    synced: Vec<u8>,
    now: Vec<u8>,
    unsynced: Vec<Op>,
    fails: Option<io::ErrorKind>,
    fails_to_sync: bool,
    full: bool,
    hangs: bool,
    /// Calls until the power goes, and what is done then.
    cut: Option<(u64, StdRng, Cut)>,
    free: Option<u64>,
    calls: u64,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State")
            .field("len", &self.now.len())
            .finish_non_exhaustive()
    }
}

/// See the module. A clone is the same disk.
#[derive(Debug, Clone, Default)]
pub(crate) struct SimDisk(Arc<Mutex<State>>);

impl SimDisk {
    fn of(bytes: Vec<u8>) -> Self {
        let disk = Self::default();
        {
            let mut state = disk.0.lock();
            state.synced = bytes.clone();
            state.now = bytes;
        }
        disk
    }

    /// From now on all calls fail like this, or none does.
    pub(crate) fn fail(&self, fails: Option<io::ErrorKind>) {
        self.0.lock().fails = fails;
    }

    /// From now on all can be written and nothing synced; or that, too.
    pub(crate) fn fail_to_sync(&self, fails: bool) {
        self.0.lock().fails_to_sync = fails;
    }

    /// From now on nothing can be written, but the file can be opened; or it can again.
    pub(crate) fn fill(&self, full: bool) {
        self.0.lock().full = full;
    }

    /// From now on no call comes back, or all do.
    pub(crate) fn hang(&self, hangs: bool) {
        self.0.lock().hangs = hangs;
    }

    pub(crate) fn set_free(&self, free: u64) {
        self.0.lock().free = Some(free);
    }

    pub(crate) fn calls(&self) -> u64 {
        self.0.lock().calls
    }

    /// Cuts the power in the middle of the call after so many more. `cut` is told of the disk that is left, in the same
    /// moment; the journal goes on with this one and does not know.
    pub(crate) fn cut_after(&self, calls: u64, seed: u64, cut: impl FnOnce(Self) + Send + 'static) {
        self.0.lock().cut = Some((calls, StdRng::seed_from_u64(seed), Box::new(cut)));
    }

    /// What is left if the process ends now, and the system does not.
    pub(crate) fn after_kill(&self) -> Self {
        Self::of(self.0.lock().now.clone())
    }

    /// What is left if the power goes now.
    pub(crate) fn after_power_loss(&self, seed: u64) -> Self {
        Self::of(remains(&self.0.lock(), &mut StdRng::seed_from_u64(seed)))
    }

    fn call(&self, op: Option<Op>) -> io::Result<()> {
        let mut state = loop {
            let state = self.0.lock();
            if !state.hangs {
                break state;
            }
            drop(state);
            std::thread::sleep(std::time::Duration::from_millis(5));
        };
        state.calls += 1;
        if let Some(kind) = state.fails {
            return Err(kind.into());
        }
        let syncs = op.is_none();
        if syncs && state.fails_to_sync {
            return Err(io::ErrorKind::Other.into());
        }
        if !syncs && state.full {
            return Err(io::ErrorKind::StorageFull.into());
        }
        if let Some(op) = op {
            op.apply(&mut state.now);
            state.unsynced.push(op);
        }
        if let Some((calls, ..)) = &mut state.cut {
            if *calls > 0 {
                *calls -= 1;
            } else if let Some((_, mut random, cut)) = state.cut.take() {
                cut(Self::of(remains(&state, &mut random)));
            }
        }
        if syncs {
            state.synced = state.now.clone();
            state.unsynced.clear();
        }
        Ok(())
    }
}

/// Of what was not synced any part may have reached the disk, in any order.
fn remains(state: &State, random: &mut StdRng) -> Vec<u8> {
    let mut bytes = state.synced.clone();
    let share = random.random_range(0.0..=1.0);
    for op in &state.unsynced {
        match op {
            Op::Len(_) => {
                if random.random_bool(share) {
                    op.apply(&mut bytes);
                }
            }
            Op::Write(at, data) => {
                let mut from = 0;
                while from < data.len() {
                    let to = (at + from + SECTOR) / SECTOR * SECTOR - at;
                    let to = to.min(data.len());
                    if random.random_bool(share) {
                        Op::Write(at + from, data[from..to].to_vec()).apply(&mut bytes);
                    }
                    from = to;
                }
            }
        }
    }
    // A file that has grown without its length is not longer.
    bytes
}

#[derive(Debug)]
struct Backend(SimDisk);

impl redb::StorageBackend for Backend {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.0.lock().now.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let state = self.0.0.lock();
        let at = usize::try_from(offset).unwrap();
        let bytes = state
            .now
            .get(at..at + out.len())
            .ok_or(io::ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(bytes);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.call(Some(Op::Len(usize::try_from(len).unwrap())))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.call(None)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0
            .call(Some(Op::Write(usize::try_from(offset).unwrap(), data.to_vec())))
    }
}

impl Disk for SimDisk {
    fn open(&self, builder: &mut redb::Builder) -> Result<redb::Database, redb::DatabaseError> {
        if let Some(kind) = self.0.lock().fails {
            return Err(io::Error::from(kind).into());
        }
        builder.create_with_backend(Backend(self.clone()))
    }

    fn free(&self) -> io::Result<u64> {
        Ok(self.0.lock().free.unwrap_or(u64::MAX))
    }

    fn name(&self) -> String {
        "the simulated disk".into()
    }
}
