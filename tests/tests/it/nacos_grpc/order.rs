//! Clients do not wait until the registry has read who they are before they ask for something.
//!
//! `nacos_rust_client` registers as soon as it has sent its set-up, once: told that it is not set up, it says nothing of
//! it, and never registers. `nacos-sdk` asks at once whether it is healthy, and logs an error if it is not.

use std::time::Duration;

use beatrix_tests::nacos_grpc::Connection;
use beatrix_tests::registry::Settings;
use serde_json::json;
use tokio::time::sleep;

use super::SERVICE;
use super::outside::Place;

/// How much earlier the request is made.
const HEAD_START: Duration = Duration::from_millis(50);

#[tokio::test]
async fn a_request_that_is_there_before_the_set_up_waits_for_it() -> anyhow::Result<()> {
    let registry = Settings::new().start_at_pair().await?;
    let connection = Connection::tcp(registry.grpc_addr()).await?;
    let stream = connection.stream().await?;
    let request = json!({
        "namespace": "public",
        "groupName": "DEFAULT_GROUP",
        "serviceName": SERVICE,
        "type": "registerInstance",
        "instance": {"ip": "127.0.0.1", "port": 18_701, "ephemeral": true, "metadata": {"zone": "a"}},
    });
    let register = connection.request("InstanceRequest", &request);
    let set_up = async {
        // The other request is there by then.
        sleep(HEAD_START).await;
        let labels = json!({"source": "sdk", "module": "naming"});
        stream.send("ConnectionSetupRequest", &json!({"labels": labels}));
    };
    let (answer, ()) = tokio::join!(register, set_up);
    let answer = answer?;
    assert_eq!(
        (answer.kind.as_str(), &answer.json["resultCode"]),
        ("InstanceResponse", &json!(200)),
        "{answer:?}"
    );
    Place::of(SERVICE)
        .shows_session(registry.addr(), "127.0.0.1:18701")
        .await;
    Ok(())
}
