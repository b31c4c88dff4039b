//! Greetings, answers and errors, byte by byte.

use super::*;
use crate::commands::wait_for::stage::Stage;
use crate::commands::wait_for::verdict::Unready;

fn greeting_bytes(plugin: &str) -> Vec<u8> {
    let mut bytes = vec![0x0a];
    bytes.extend_from_slice(b"10.11.19-MariaDB\0");
    bytes.extend_from_slice(&[7, 0, 0, 0]);
    bytes.extend_from_slice(b"abcdefgh\0");
    bytes.extend_from_slice(&[0xfe, 0xf7, 45, 2, 0, 0xff, 0x81, 21]);
    bytes.extend_from_slice(&[0; 10]);
    bytes.extend_from_slice(b"ijklmnopqrst\0");
    bytes.extend_from_slice(plugin.as_bytes());
    bytes.push(0);
    bytes
}

fn error(number: u16) -> Vec<u8> {
    [&[0xff][..], &number.to_le_bytes(), b"#28000words"].concat()
}

#[test]
fn a_greeting_tells_flags_and_plugin() {
    let greeting = parse_greeting(&greeting_bytes("mysql_native_password")).unwrap();
    assert_eq!(greeting.capabilities, 0x81ff_f7fe);
    assert_eq!(greeting.plugin, b"mysql_native_password");
    assert_eq!(parse_greeting(&[0x0a, b'8']), None);
    assert_eq!(parse_error(&error(1045)), Some((1045, "words".into())));
    assert_eq!(
        parse_error(b"\xff\x10\x04Too many"),
        Some((1040, "Too many".into()))
    );
}

#[test]
fn the_login_attempt_is_that_of_the_protocol() {
    let greeting = Greeting {
        capabilities: 0,
        plugin: b"p".to_vec(),
    };
    let sent = packet(1, &response(&greeting, 0));
    assert_eq!(sent[..8], [43, 0, 0, 1, 0x00, 0x82, 0x08, 0x00]);
    assert_eq!(&sent[36..], b"podinit\0\0p\0");
    assert_eq!(head(SSL).len(), 32);
}

/// What is found, and what was sent, when the server says this.
async fn answered(packets: &[Vec<u8>]) -> (Found, Vec<u8>) {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let stage = Stage::default();
    let (near, mut far) = tokio::io::duplex(4096);
    for (place, payload) in packets.iter().enumerate() {
        let sequence = u8::try_from(place * 2).unwrap();
        far.write_all(&packet(sequence, payload)).await.unwrap();
    }
    let mut talk = Talk::new(Box::new(near), "h:1".into(), NAME, &stage);
    let found = match greeting(&mut talk).await {
        Ok(greeting) => answer(&mut talk, &greeting, 1, 0).await,
        Err(unready) => Err(unready),
    };
    talk.leave().await;
    let mut sent = Vec::new();
    far.read_to_end(&mut sent).await.unwrap();
    (found, sent)
}

#[tokio::test]
async fn every_exchange_is_finished() {
    let hello = || greeting_bytes("mysql_native_password");
    for number in [1045, 1251, 3159] {
        assert!(
            answered(&[hello(), error(number)]).await.0.is_ok(),
            "{number}"
        );
    }
    assert!(
        answered(&[hello(), vec![0, 0, 0, 2, 0, 0, 0]])
            .await
            .0
            .is_ok()
    );
    let switch = |plugin: &str| [&[0xfe][..], plugin.as_bytes(), b"\0nonce\0"].concat();
    let (found, sent) = answered(&[hello(), switch("client_ed25519"), error(1045)]).await;
    assert!(found.is_ok());
    assert_eq!(sent[sent.len() - 68..][..4], [64, 0, 0, 3]);
    assert!(sent[sent.len() - 64..].iter().all(|byte| *byte == 0));
    let (found, sent) = answered(&[hello(), switch("dialog"), error(1045)]).await;
    assert!(found.is_ok() && sent.ends_with(&[0, 0, 0, 3]));
}

#[tokio::test]
async fn an_error_in_place_of_the_greeting_is_not_ready_and_a_block_is_final() {
    for number in [1040, 1130, 1053] {
        let (found, sent) = answered(&[error(number)]).await;
        assert!(
            matches!(found, Err(Unready::Yet(_))) && sent.is_empty(),
            "{number}"
        );
    }
    let (found, _) = answered(&[error(1129)]).await;
    assert!(matches!(found, Err(Unready::Final(failure)) if failure.kind() == Kind::Denied));
    for number in [1053, 1927] {
        let found = answered(&[greeting_bytes("x"), error(number)]).await.0;
        assert!(matches!(found, Err(Unready::Yet(_))), "{number}");
    }
    assert!(answered(&[b"HTTP".to_vec()]).await.0.is_err());
}
