//! Requests and answers, byte by byte.

use super::*;

#[test]
fn no_topic_is_ever_created() {
    assert_eq!(API_VERSIONS.len(), 21);
    let request = metadata_request(4, Some("orders"));
    assert_eq!(request[..12], [0, 0, 0, 30, 0, 3, 0, 4, 0, 0, 0, 2]);
    assert!(request.ends_with(b"\0\x06orders\0"));
    assert!(metadata_request(8, None).ends_with(b"podinit\0\0\0\0\0\0\0"));
}

#[test]
fn the_brokers_range_is_found() {
    let answer = b"\0\0\0\0\0\x02\0\0\0\0\0\x09\0\x03\0\0\0\x0c";
    assert_eq!(metadata_range(answer), Some(Ok((0, 12))));
    assert_eq!(metadata_range(b"\0\x23\0\0\0\0"), Some(Err(35)));
    assert_eq!(metadata_range(b"\0\0\0\0\0\x02\0\0"), None);
    assert_eq!(metadata_range(b"\0\0\x7f\xff\xff\xff"), None);
}

fn answer(version: i16, brokers: i32, error: i16, leader: i32) -> Vec<u8> {
    let mut bytes = vec![0; 4];
    bytes.extend_from_slice(&brokers.to_be_bytes());
    for _ in 0..brokers {
        bytes.extend_from_slice(b"\0\0\0\x01\0\x01h\0\0\x23\x84\xff\xff");
    }
    bytes.extend_from_slice(b"\0\x01c\0\0\0\x01");
    bytes.extend_from_slice(&1_i32.to_be_bytes());
    bytes.extend_from_slice(&error.to_be_bytes());
    bytes.extend_from_slice(b"\0\x06orders\0");
    bytes.extend_from_slice(&1_i32.to_be_bytes());
    bytes.extend_from_slice(&[0, 0, 0, 0, 0, 0]);
    bytes.extend_from_slice(&leader.to_be_bytes());
    if version >= 7 {
        bytes.extend_from_slice(&[0; 4]);
    }
    for _ in 0..if version >= 5 { 3 } else { 2 } {
        bytes.extend_from_slice(b"\0\0\0\x01\0\0\0\x01");
    }
    if version >= 8 {
        bytes.extend_from_slice(&[0; 8]);
    }
    bytes
}

#[test]
fn brokers_topics_and_leaders_are_read_in_every_version() {
    for version in VERSIONS {
        let judged = |brokers, error, leader, topic| {
            let bytes = answer(version, brokers, error, leader);
            Metadata::read(&bytes, version)
                .unwrap()
                .judge(topic)
                .map_err(|cause| cause.text)
        };
        assert_eq!(judged(2, 0, 1, Some("orders")), Ok(()), "{version}");
        assert_eq!(judged(1, 3, -1, None), Ok(()));
        assert!(judged(0, 0, 1, None).unwrap_err().contains("no broker"));
        assert!(
            judged(1, 3, 1, Some("orders"))
                .unwrap_err()
                .contains("no topic orders")
        );
        assert!(
            judged(1, 5, 1, Some("orders"))
                .unwrap_err()
                .contains("error 5")
        );
        assert!(
            judged(1, 0, -1, Some("orders"))
                .unwrap_err()
                .contains("no leader")
        );
        assert!(judged(1, 0, 1, Some("other")).is_err());
        let whole = answer(version, 1, 0, 1);
        assert_eq!(Metadata::read(&whole[..20], version), None);
    }
}
