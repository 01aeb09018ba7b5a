//! What is pushed after a restart: nothing that takes a host away because of it.

use std::time::Duration;

use crate::harness::Nacos;
use crate::kept::Kept;

use super::{HERE, JAVA, start_over};

#[tokio::test(start_paused = true)]
async fn nothing_is_pushed_while_it_warms_and_the_whole_once_all_is_known() {
    let kept = Kept::default();
    let before = Nacos::over(kept.open()).await;
    for port in 1..=3 {
        before
            .register(&format!("serviceName=S&ip=1.1.1.1&port={port}"))
            .await;
    }
    before.register("serviceName=S&ip=1.1.1.1&port=4").await;
    before.registry.stop().await;
    // The last of them is lost.
    kept.lose(3, 900);

    let (nacos, mut clients, _pusher) = start_over(Nacos::over(kept.open()).await);
    let list = nacos.list_as(JAVA, &format!("serviceName=S&{HERE}")).await;
    assert_eq!(list["hosts"].as_array().unwrap().len(), 3);
    nacos.register("serviceName=S&ip=1.1.1.1&port=5").await;
    assert!(clients.all_within(Duration::from_secs(5)).await.is_empty());
    // Its client beats, and registers again.
    nacos.register("serviceName=S&ip=1.1.1.1&port=4").await;
    assert!(clients.all_within(Duration::from_secs(9)).await.is_empty());
    let pushed = clients.next().await.list();
    assert!(nacos.registry.complete());
    assert_eq!(pushed["hosts"].as_array().unwrap().len(), 5);
}
