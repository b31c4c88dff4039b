//! The very bytes that the server sent.

use super::{Bytes, Format};
use crate::base::failure::Failure;
use crate::commands::fetch_secret::answer::{Content, Fetched};

pub(super) const FORMAT: Format = Format {
    name: "raw",
    extension: None,
    about: "the secret's object, or an answer that is not JSON, byte for byte",
    write,
};

fn write(fetched: &Fetched) -> Result<Bytes, Failure> {
    match &fetched.content {
        Content::Plain { body, .. } => Ok(Bytes::new(body.expose().to_vec())),
        Content::Object { raw, .. } => {
            fetched.entries()?;
            Ok(Bytes::new(raw.expose().to_vec()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::written;
    use super::*;

    #[test]
    fn nothing_is_changed() {
        let data = r#"{"password":"p\u003cw\u0026\u003e", "n":1.0}"#;
        assert_eq!(written(&FORMAT, data).unwrap(), data);
    }
}
