//! MySQL's protocol.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::servers::Server;
use super::{mysql, outcome};
use crate::ProbeOutcome;

/// A whole packet with a greeting, whose nonce is `abcdefghijklmnopqrst`.
pub(super) const GREETING: &[u8] = b"\x49\0\0\0\x0a5.7.0\0\x07\0\0\0abcdefgh\0\xff\xf7\x2d\x02\0\xff\x81\x15\
    \0\0\0\0\0\0\0\0\0\0ijklmnopqrst\0mysql_native_password\0";

/// The payload of an OK packet.
pub(super) const OK: &[u8] = b"\0\0\0\x02\0\0\0";

/// `SHA1` and `SHA256` proofs of the password `hunter2` for that nonce, made by another implementation.
const NATIVE: &str = "fb30830c3ec1c2161c75ef8c45977d684a38d8d4";
const CACHING: &str = "38c32b38723affcda57b368b565bac628d5a852428b402c25c4ae036a4fd904f";

pub(super) fn packet(number: u8, payload: &[u8]) -> Vec<u8> {
    let [low, middle, high, _] = u32::try_from(payload.len()).unwrap().to_le_bytes();
    [&[low, middle, high, number], payload].concat()
}

async fn payload(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut header = [0; 4];
    stream.read_exact(&mut header).await.ok()?;
    let length = u32::from_le_bytes([header[0], header[1], header[2], 0]);
    let mut payload = vec![0; usize::try_from(length).unwrap()];
    stream.read_exact(&mut payload).await.ok()?;
    Some(payload)
}

fn holds(payload: &[u8], proof: &str) -> bool {
    let hex: String = payload.iter().map(|byte| format!("{byte:02x}")).collect();
    hex.contains(proof)
}

/// A server that lets in whoever proves `hunter2` natively, and then says `result` to the query.
async fn server(result: Vec<u8>) -> Server {
    Server::of(move |mut stream| {
        let result = result.clone();
        async move {
            stream.write_all(GREETING).await.unwrap();
            let Some(login) = payload(&mut stream).await else {
                return;
            };
            if !holds(&login, NATIVE) {
                let denied = packet(2, b"\xff\x15\x04#28000Access denied");
                stream.write_all(&denied).await.unwrap();
                return;
            }
            stream.write_all(&packet(2, OK)).await.unwrap();
            while let Some(command) = payload(&mut stream).await {
                if command[0] != 3 {
                    return;
                }
                stream.write_all(&result).await.unwrap();
            }
        }
    })
    .await
}

/// A result with one row of two columns.
fn row(name: &str, value: &str) -> Vec<u8> {
    let text = |text: &str| [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
    [
        packet(1, &[2]),
        packet(2, b"\x03def"),
        packet(3, b"\x03def"),
        packet(4, b"\xfe\0\0\x02\0"),
        packet(5, &[text(name), text(value)].concat()),
        packet(6, b"\xfe\0\0\x02\0"),
    ]
    .concat()
}

const READ_ONLY: &str = "show global variables where variable_name='read_only'";

#[tokio::test]
async fn without_a_user_a_greeting_is_enough() {
    let server = server(Vec::new()).await;
    assert_eq!(
        outcome(server.address, mysql("", "", "")).await,
        ProbeOutcome::Passed
    );
}

#[tokio::test]
async fn a_login_and_an_answer_to_the_query_are_good_whatever_the_result() {
    for result in [row("1", "1"), packet(1, OK)] {
        let mut server = server(result).await;
        assert_eq!(
            outcome(server.address, mysql("u", "hunter2", "")).await,
            ProbeOutcome::Passed
        );
        server.left_alone().await;
    }
}

#[tokio::test]
async fn what_the_server_refuses_is_told_by_its_code() {
    let server = server(packet(1, b"\xff\x7a\x04#42S02No such table")).await;
    let what = outcome(server.address, mysql("u", "hunter2", "select 1 from nowhere")).await;
    assert_eq!(what, ProbeOutcome::MysqlError(1146));
    assert_eq!(
        outcome(server.address, mysql("u", "wrong", "")).await,
        ProbeOutcome::AuthFailed
    );
    let busy = Server::of(|mut stream| async move {
        let _ = stream
            .write_all(&packet(0, b"\xff\x10\x04Too many connections"))
            .await;
    })
    .await;
    let what = outcome(busy.address, mysql("", "", "")).await;
    assert_eq!(what, ProbeOutcome::MysqlError(1040));
}

/// Nacos 2.x: a replica must not serve.
#[tokio::test]
async fn a_read_only_database_is_bad_if_that_is_asked_for() {
    let replica = server(row("read_only", "ON")).await;
    let master = server(row("read_only", "OFF")).await;
    let asked = mysql("u", "hunter2", READ_ONLY);
    assert_eq!(
        outcome(replica.address, asked.clone()).await,
        ProbeOutcome::ReadOnly
    );
    assert_eq!(outcome(master.address, asked).await, ProbeOutcome::Passed);
    let not_asked = mysql("u", "hunter2", "select 1");
    assert_eq!(outcome(replica.address, not_asked).await, ProbeOutcome::Passed);
}

#[tokio::test]
async fn an_error_after_rows_is_an_error() {
    let mut result = row("1", "1");
    result.truncate(result.len() - packet(6, b"\xfe\0\0\x02\0").len());
    result.extend(packet(6, b"\xff\x25\x05#70100Query execution was interrupted"));
    let server = server(result).await;
    let what = outcome(server.address, mysql("u", "hunter2", "")).await;
    assert_eq!(what, ProbeOutcome::MysqlError(1317));
}

/// Switches the way of the login, and answers the proof with `then`.
async fn switching(plugin: &'static str, then: Vec<Vec<u8>>) -> Server {
    Server::of(move |mut stream| {
        let then = then.clone();
        async move {
            stream.write_all(GREETING).await.unwrap();
            let _ = payload(&mut stream).await;
            let switch = [b"\xfe", plugin.as_bytes(), b"\0abcdefghijklmnopqrst\0"].concat();
            stream.write_all(&packet(2, &switch)).await.unwrap();
            let Some(proof) = payload(&mut stream).await else {
                return;
            };
            if !holds(&proof, CACHING) {
                return;
            }
            for (number, payload) in (4..).zip(then) {
                stream.write_all(&packet(number, &payload)).await.unwrap();
            }
            while let Some(command) = payload(&mut stream).await {
                if command[0] != 3 {
                    return;
                }
                stream.write_all(&row("1", "1")).await.unwrap();
            }
        }
    })
    .await
}

#[tokio::test]
async fn the_server_may_ask_for_another_way_to_log_in() {
    let asked = || mysql("u", "hunter2", "");
    let fast = switching("caching_sha2_password", vec![vec![1, 3], OK.to_vec()]).await;
    assert_eq!(outcome(fast.address, asked()).await, ProbeOutcome::Passed);
    let full = switching("caching_sha2_password", vec![vec![1, 4]]).await;
    let asks = "the server asks for the password itself, which is not sent";
    assert_eq!(
        outcome(full.address, asked()).await,
        ProbeOutcome::BadAnswer(asks)
    );
    let clear = switching("mysql_clear_password", Vec::new()).await;
    let unknown = "the server asks for a login of an unknown kind";
    assert_eq!(
        outcome(clear.address, asked()).await,
        ProbeOutcome::BadAnswer(unknown)
    );
}
