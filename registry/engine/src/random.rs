//! Randomness from outside: leases, connections and epochs.

use beatrix_core::model::{Epoch, Lease, SessionId};
use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// A source of bits that nobody can guess; seeded by the operating system, or by a test.
#[derive(Debug)]
pub struct Random(Mutex<StdRng>);

impl Random {
    /// Seeded by the operating system.
    ///
    /// # Errors
    /// If the operating system has no randomness to give.
    pub fn from_system() -> Result<Self, rand::rngs::SysError> {
        Ok(Self(Mutex::new(StdRng::try_from_rng(&mut rand::rngs::SysRng)?)))
    }

    /// The same bits each time.
    #[must_use]
    pub fn from_seed(seed: u64) -> Self {
        Self(Mutex::new(StdRng::seed_from_u64(seed)))
    }

    /// A fresh lease.
    #[must_use]
    pub fn lease(&self) -> Lease {
        let mut random = self.0.lock();
        loop {
            if let Some(lease) = Lease::from_bits(random.next_u64()) {
                return lease;
            }
        }
    }

    /// A fresh name of a connection. Names of a former process are never met again; 0 is for those of a backup.
    #[must_use]
    pub fn session(&self) -> SessionId {
        let mut random = self.0.lock();
        loop {
            let bits = random.next_u64();
            if bits != 0 {
                return SessionId(bits);
            }
        }
    }

    /// What moments are drawn from.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.0.lock().next_u64()
    }

    /// A fresh epoch.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        Epoch(self.0.lock().next_u64())
    }
}
