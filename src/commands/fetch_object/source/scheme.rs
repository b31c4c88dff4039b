//! The schemes of a SOURCE: what `--help` and the hint of a bad one show, and which flags are whose.

/// One scheme.
#[derive(Debug)]
pub struct Scheme {
    /// What stands before `://`.
    pub name: &'static str,
    /// The whole form.
    pub form: &'static str,
    /// One that could be typed.
    pub example: &'static str,
    /// Where its credentials come from.
    pub needs: &'static str,
    /// The flags that mean something to it and not to every scheme, without their dashes.
    pub flags: &'static [&'static str],
}

/// All schemes, in the order of `--help`.
pub const SCHEMES: &[Scheme] = &[
    super::s3::SCHEME,
    super::gcs::SCHEME,
    super::azure::SCHEME,
    super::http::SCHEME,
    super::http::SECURE,
];
