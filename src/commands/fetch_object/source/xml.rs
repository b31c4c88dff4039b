//! The letters that XML writes as references. Pure.

/// What stands for `&name;`, or `&#65;`.
pub(super) fn reference(text: &str) -> Option<String> {
    let letter = match text {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        _ => {
            let number = text.strip_prefix('#')?;
            let code = match number.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                None => number.parse().ok()?,
            };
            char::from_u32(code)?
        }
    };
    Some(letter.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_is_one_letter() {
        for (name, letter) in [
            ("amp", "&"),
            ("quot", "\""),
            ("#10", "\n"),
            ("#x6F22", "漢"),
        ] {
            assert_eq!(reference(name).as_deref(), Some(letter), "{name}");
        }
        for none in ["", "nbsp", "#", "#x", "#1114112"] {
            assert_eq!(reference(none), None, "{none}");
        }
    }
}
