//! The lines that the kubelet reads through `fileKeyRef` (Kubernetes 1.35 and later).

use super::env::{lines, unfit};
use super::{Bytes, Format};
use crate::base::failure::Failure;
use crate::commands::fetch_secret::answer::Fetched;

pub(super) const FORMAT: Format = Format {
    name: "k8s-env",
    extension: None,
    about: "NAME='value' lines for fileKeyRef of Kubernetes 1.35 and later",
    write,
};

/// The kubelet knows no way to write a `'` inside the quotes.
fn write(fetched: &Fetched) -> Result<Bytes, Failure> {
    lines(fetched, |key, value| {
        if value.contains(&b'\'') {
            return Err(unfit(key, "has a ' in its value, which k8s-env cannot say"));
        }
        Ok(Bytes::new(value.to_vec()))
    })
}

#[cfg(test)]
mod tests {
    use super::super::written;
    use super::*;
    use crate::base::failure::Kind;

    #[test]
    fn a_value_stands_as_it_is_and_a_quote_is_refused() {
        assert_eq!(
            written(&FORMAT, r#"{"A":"x\ny#z"}"#).unwrap(),
            "A='x\ny#z'\n"
        );
        let failure = written(&FORMAT, r#"{"A":"it's"}"#).unwrap_err();
        assert_eq!(failure.kind(), Kind::Corrupt);
        assert!(failure.to_string().contains("`A`"));
    }
}
