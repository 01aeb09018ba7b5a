//! Waiting for a condition with a deadline, never for a fixed time.

use std::time::Duration;

use tokio::time::{Instant, sleep};

/// How long a test waits for what should happen soon. Long, because two busy cores are slow and a passing test
/// never waits that long.
pub const SOON: Duration = Duration::from_secs(20);

/// How long to wait between two looks at the condition.
const PAUSE: Duration = Duration::from_millis(10);

/// Asks `probe` again and again until it gives a value.
///
/// # Panics
///
/// When `within` has passed without one; the message says what was waited for, and for how long.
pub async fn eventually<T, F, P>(what: &str, within: Duration, mut probe: F) -> T
where
    F: FnMut() -> P,
    P: Future<Output = Option<T>>,
{
    let start = Instant::now();
    loop {
        if let Some(value) = probe().await {
            return value;
        }
        let waited = start.elapsed();
        assert!(waited < within, "waited {waited:?} in vain for this: {what}");
        sleep(PAUSE).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn gives_the_first_value() {
        let mut turn = 0;
        let value = eventually("the third turn", SOON, || {
            turn += 1;
            let found = (turn == 3).then_some(turn);
            async move { found }
        })
        .await;
        assert_eq!(value, 3);
    }
}
