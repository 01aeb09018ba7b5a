//! Draining: taking an instance out of traffic and knowing when everybody knows.

use std::time::Duration;

use beatrix_core::model::{Endpoint, OperatorPatch, Revision, ServiceKey};

use super::Registry;
use super::write::WriteError;
use crate::hub::SubscriberInfo;

/// How a drain came out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drained {
    /// The revision that subscribers had to acknowledge.
    pub revision: Revision,
    /// Names of those who acknowledged it, or left meanwhile.
    pub acknowledged: Vec<String>,
    /// Names of those who had not at the deadline.
    pub waiting: Vec<String>,
    /// How many subscribers never acknowledge anything.
    pub without_acks: usize,
}

impl Registry {
    /// Marks an instance draining, and answers when every subscriber of its service that acknowledges has done so,
    /// or at the deadline. It stays draining until an operator ends that.
    ///
    /// # Errors
    /// If there is no such instance.
    pub async fn drain(
        &self,
        service: ServiceKey,
        endpoint: Endpoint,
        deadline: Duration,
    ) -> Result<Drained, WriteError> {
        let deadline = tokio::time::Instant::now() + deadline;
        let patch = OperatorPatch {
            draining: Some(true),
            ..OperatorPatch::default()
        };
        self.operate(service.clone(), endpoint.clone(), patch).await?;
        // The instance's own revision: if it was draining already, the one of then is enough.
        let member = self
            .view(service.borrowed())
            .and_then(|view| view.get(&endpoint).map(|member| member.state.revision));
        let revision = member.unwrap_or_else(|| self.version().revision);
        let (mut asked, silent): (Vec<_>, Vec<_>) = self
            .hub()
            .subscribers_of(&service)
            .into_iter()
            .partition(|subscriber| subscriber.acks);
        asked.sort_unstable_by_key(|subscriber| subscriber.id);
        let mut waiting: Vec<u64> = asked.iter().map(|subscriber| subscriber.id).collect();
        loop {
            let acknowledged = self.hub().acknowledged();
            tokio::pin!(acknowledged);
            // Registered before looking, so that an acknowledgement in between is not missed.
            acknowledged.as_mut().enable();
            waiting.retain(|id| self.hub().waits(*id, revision));
            let over = tokio::time::Instant::now() >= deadline || self.is_stopping();
            if waiting.is_empty() || over {
                break;
            }
            // Whichever it is, it looks again.
            tokio::select! {
                () = acknowledged => {}
                () = self.stopping() => {}
                () = tokio::time::sleep_until(deadline) => {}
            }
        }
        let (late, done) = asked
            .into_iter()
            .partition(|asked| waiting.binary_search(&asked.id).is_ok());
        let names = |infos: Vec<SubscriberInfo>| infos.into_iter().map(|info| info.name).collect();
        Ok(Drained {
            revision,
            acknowledged: names(done),
            waiting: names(late),
            without_acks: silent.len(),
        })
    }
}
