//! `--http-json POINTER=VALUE`: what a JSON body has to hold.

use std::str::FromStr;

use serde_json::Value;

use crate::base::argument::BadArgument;
use crate::base::text::{cut, one_line};

/// So much of a value is shown when another was wanted; bytes.
const SHOWN: usize = 80;

/// A pointer, and the value wanted there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct JsonCheck {
    pointer: String,
    wanted: String,
}

impl FromStr for JsonCheck {
    type Err = BadArgument;

    fn from_str(text: &str) -> Result<Self, BadArgument> {
        let split = text
            .split_once('=')
            .filter(|(pointer, _)| is_pointer(pointer));
        let (pointer, wanted) = split.ok_or_else(|| BadArgument {
            reason: format!("--http-json `{}` is not POINTER=VALUE", one_line(text)),
            hint: "write a pointer of RFC 6901, such as /status=ok; ~1 is a slash in a name, ~0 a tilde"
                .to_string(),
        })?;
        Ok(Self {
            pointer: pointer.to_string(),
            wanted: wanted.to_string(),
        })
    }
}

/// Empty, or parts that each begin with a slash; a tilde only as `~0` or `~1`.
fn is_pointer(text: &str) -> bool {
    let is_shaped = text.is_empty() || text.starts_with('/');
    let mut escapes = text.split('~').skip(1);
    is_shaped && escapes.all(|rest| rest.starts_with(['0', '1']))
}

impl JsonCheck {
    /// Compares a string by content, anything else as JSON text.
    ///
    /// # Errors
    /// Says what is there instead.
    pub(super) fn check(&self, document: &Value) -> Result<(), String> {
        let Some(found) = document.pointer(&self.pointer) else {
            return Err(format!("no {} in the JSON", one_line(&self.pointer)));
        };
        let is_equal = match found {
            Value::String(text) => *text == self.wanted,
            other => serde_json::from_str::<Value>(&self.wanted).is_ok_and(|it| it == *other),
        };
        if is_equal {
            return Ok(());
        }
        let place = match self.pointer.as_str() {
            "" => "the JSON",
            pointer => pointer,
        };
        Err(format!(
            "{} is {}, want {}",
            one_line(place),
            cut(&one_line(&found.to_string()), SHOWN),
            cut(&one_line(&self.wanted), SHOWN)
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_compared_by_content_or_as_json() {
        let text = r#"{"user":{"name":"test"},"is_active":true,"n":3,"a/b":[1,{"c":null}],"e":"a=b","d":"3"}"#;
        let document: Value = serde_json::from_str(text).unwrap();
        let check = |text: &str| text.parse::<JsonCheck>().unwrap().check(&document);
        for good in [
            "/user/name=test",
            "/is_active=true",
            "/n=3",
            "/a~1b/1/c=null",
            "/a~1b=[1, {\"c\": null}]",
            "/e=a=b",
            "/d=3",
        ] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        assert_eq!(check("/test=x"), Err("no /test in the JSON".into()));
        assert_eq!(
            check("/user/name=Test"),
            Err("/user/name is \"test\", want Test".into())
        );
        assert!(check("/n=03").is_err() && check("/is_active=True").is_err());
    }

    #[test]
    fn a_check_is_a_pointer_and_a_value() {
        for wrong in ["status=ok", "/status", "", "/a~2=x", "a/b=c"] {
            assert!(wrong.parse::<JsonCheck>().is_err(), "{wrong}");
        }
        assert!("=1".parse::<JsonCheck>().is_ok());
    }
}
