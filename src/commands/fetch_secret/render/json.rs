//! One compact JSON object and a line feed.

use super::{Bytes, Format};
use crate::base::failure::Failure;
use crate::commands::fetch_secret::answer::Fetched;
use crate::commands::fetch_secret::json::Json;

pub(super) const FORMAT: Format = Format {
    name: "json",
    extension: Some(".json"),
    about: "one compact object, keys in the server's order",
    write,
};

fn write(fetched: &Fetched) -> Result<Bytes, Failure> {
    let object = Json::Object(fetched.entries()?.to_vec());
    let mut bytes = Bytes::new(object.write().as_bytes().to_vec());
    bytes.push(b'\n');
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::super::written;
    use super::*;

    #[test]
    fn one_line_with_no_more_escapes_than_json_needs() {
        assert_eq!(
            written(
                &FORMAT,
                r#"{"b":null,"a\u003c":"\u003c\u0026\n\"é","n":1.0}"#
            )
            .unwrap(),
            "{\"b\":null,\"a<\":\"<&\\n\\\"é\",\"n\":1.0}\n"
        );
    }
}
