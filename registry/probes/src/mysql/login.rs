//! The login: who, and a proof of the password that is good for this one connection.

use beatrix_core::model::MysqlProbe;
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};

use super::greeting::{Greeting, NONCE_BYTES, can};
use super::packet::{Fields, MALFORMED, Packets};
use crate::outcome::{ProbeOutcome, Step};

const NATIVE: &[u8] = b"mysql_native_password";
const CACHING: &[u8] = b"caching_sha2_password";

/// How many packets a login may take. The longest way that there is: another plugin, the fast path, OK.
const ROUNDS_MAX: usize = 4;

/// The client's flag for columns that say how long they may be; every client sends it.
const CLIENT_LONG_FLAG: u32 = 4;

/// The longest packet that the client would send.
const PACKET_BYTES_MAX: u32 = 0xff_ffff;

/// `utf8mb4_general_ci`: known to every server that speaks this protocol, but for the very oldest.
const CHARSET: u8 = 45;

/// Logs in with what the server would like, or with what it then asks for.
pub(super) async fn log_in(packets: &mut Packets, greeting: &Greeting, probe: &MysqlProbe) -> Step {
    let password = probe.password().reveal().as_bytes();
    // One that is not known here is answered with the oldest; the server then says what it wants for this user.
    let plugin = if greeting.plugin == CACHING {
        CACHING
    } else {
        NATIVE
    };
    let proof = proof(plugin, password, &greeting.nonce)?;
    packets
        .write(&response(probe.user(), plugin, &proof, greeting.plugins))
        .await?;
    for _ in 0..ROUNDS_MAX {
        let answer = packets.read().await?;
        match answer.as_slice() {
            [0, ..] => return Ok(()),
            [0xff, ..] => return Err(super::error(&answer)),
            [0xfe, switch @ ..] => {
                let mut fields = Fields(switch);
                let plugin = fields.text()?;
                let nonce = fields.bytes(NONCE_BYTES)?;
                packets.write(&self::proof(plugin, password, nonce)?).await?;
            }
            // The fast path worked; OK follows.
            [1, 3] => {}
            [1, 4] => {
                let asks = "the server asks for the password itself, which is not sent";
                return Err(ProbeOutcome::BadAnswer(asks));
            }
            _ => return Err(MALFORMED),
        }
    }
    Err(MALFORMED)
}

/// The client's answer to the greeting.
fn response(user: &str, plugin: &[u8], proof: &[u8], plugins: bool) -> Vec<u8> {
    let mut flags = can::PROTOCOL_41 | can::SECURE_CONNECTION | CLIENT_LONG_FLAG;
    if plugins {
        flags |= can::PLUGIN_AUTH;
    }
    let mut payload = Vec::with_capacity(128);
    payload.extend_from_slice(&flags.to_le_bytes());
    payload.extend_from_slice(&PACKET_BYTES_MAX.to_le_bytes());
    payload.push(CHARSET);
    payload.extend_from_slice(&[0; 23]);
    payload.extend_from_slice(user.as_bytes());
    payload.push(0);
    // At most 32 bytes.
    payload.push(u8::try_from(proof.len()).unwrap_or(0));
    payload.extend_from_slice(proof);
    if plugins {
        payload.extend_from_slice(plugin);
        payload.push(0);
    }
    payload
}

/// What proves that the password is known. Nothing proves an empty one.
fn proof(plugin: &[u8], password: &[u8], nonce: &[u8]) -> Step<Vec<u8>> {
    match plugin {
        NATIVE | CACHING if password.is_empty() => Ok(Vec::new()),
        NATIVE => Ok(native(password, nonce)),
        CACHING => Ok(caching(password, nonce)),
        _ => Err(ProbeOutcome::BadAnswer(
            "the server asks for a login of an unknown kind",
        )),
    }
}

/// `SHA1(password) XOR SHA1(nonce, SHA1(SHA1(password)))`
fn native(password: &[u8], nonce: &[u8]) -> Vec<u8> {
    let sha1 = |bytes: &[u8]| digest(&SHA1_FOR_LEGACY_USE_ONLY, bytes);
    let once = sha1(password);
    let mixed = sha1(&[nonce, sha1(once.as_ref()).as_ref()].concat());
    xor(once.as_ref(), mixed.as_ref())
}

/// `SHA256(password) XOR SHA256(SHA256(SHA256(password)), nonce)`
fn caching(password: &[u8], nonce: &[u8]) -> Vec<u8> {
    let sha256 = |bytes: &[u8]| digest(&SHA256, bytes);
    let once = sha256(password);
    let mixed = sha256(&[sha256(once.as_ref()).as_ref(), nonce].concat());
    xor(once.as_ref(), mixed.as_ref())
}

fn xor(a: &[u8], b: &[u8]) -> Vec<u8> {
    a.iter().zip(b).map(|(a, b)| a ^ b).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONCE: &[u8] = b"abcdefghijklmnopqrst";

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The values were made by another implementation of the two formulas.
    #[test]
    fn a_proof_is_what_the_server_reckons() {
        let native = proof(NATIVE, b"hunter2", NONCE).unwrap();
        assert_eq!(hex(&native), "fb30830c3ec1c2161c75ef8c45977d684a38d8d4");
        let caching = proof(CACHING, b"hunter2", NONCE).unwrap();
        let reckoned = "38c32b38723affcda57b368b565bac628d5a852428b402c25c4ae036a4fd904f";
        assert_eq!(hex(&caching), reckoned);
    }

    #[test]
    fn nothing_proves_an_empty_password_and_no_password_goes_out_as_it_is() {
        assert_eq!(proof(NATIVE, b"", NONCE), Ok(Vec::new()));
        assert_eq!(proof(CACHING, b"", NONCE), Ok(Vec::new()));
        assert!(proof(b"mysql_clear_password", b"hunter2", NONCE).is_err());
        assert!(proof(b"dialog", b"", NONCE).is_err());
    }

    #[test]
    fn a_response_names_the_user_and_the_way() {
        let payload = response("u", NATIVE, &[7; 20], true);
        let tail = [b"u\0\x14".as_slice(), &[7; 20], NATIVE, b"\0"].concat();
        assert_eq!(payload[32..], tail);
        assert!(response("u", NATIVE, &[], false).ends_with(b"u\0\0"));
    }
}
