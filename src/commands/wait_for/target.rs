//! The grammar of a target: `SCHEME://…`. It touches nothing; what the keys of a query mean is the
//! protocol's matter.

use std::ffi::OsString;
use std::fmt;
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;

use super::escape::{check_escapes, decode, decode_text};
use super::host::{Host, read_host, split_port};
use super::protocol::{self, Protocol, Scheme, Shape, User};
use crate::base::failure::{Failure, Kind};
use crate::base::secret::Secret;
use crate::base::text::{nearest, one_line};

/// Own query keys whose values are no secrets, and may be shown.
const SHOWN_KEYS: [&str; 3] = ["type", "selector", "min-size"];

/// A foreign key this near to one of podinit's own is a misspelt own one; edits.
const LIKE_OWN: usize = 2;

/// Where the text of a target stood: arguments are public, the environment is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// On the command line, which every process of the node can read.
    Argument,
    /// In `PODINIT_TARGETS`.
    Environment,
}

/// One server to wait for, taken apart.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) protocol: &'static Protocol,
    pub(super) scheme: &'static Scheme,
    /// What stands behind the slashes: a host, a bucket, a namespace or a name.
    pub(super) host: Host,
    /// As written, or the scheme's own; 0 where there are no ports.
    pub(super) port: u16,
    pub(super) user: Option<String>,
    /// From `user:pw@`; only ever from the environment.
    pub(super) password: Option<Secret>,
    /// From the first slash on, as written.
    pub(super) path: String,
    /// The query as written, for the protocols whose server owns it.
    pub(super) raw_query: Option<String>,
    /// Podinit's own keys, decoded.
    keys: Vec<(String, Vec<u8>)>,
    /// Keys that mean nothing to podinit, and are the app's.
    pub(super) foreign: Vec<String>,
    /// The target without user, password and query.
    pub(super) shown: String,
}

impl fmt::Display for Target {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.shown)
    }
}

impl Target {
    /// The value of one of podinit's own keys, as bytes.
    pub(super) fn key(&self, name: &str) -> Option<&[u8]> {
        self.keys
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_slice())
    }

    /// The value of one of podinit's own keys.
    ///
    /// # Errors
    /// `Usage` when it is not text.
    pub(super) fn text(&self, name: &str) -> Result<Option<&str>, Failure> {
        let read = |value| {
            std::str::from_utf8(value).map_err(|_| self.wrong(format!("?{name}= is not UTF-8"), ""))
        };
        self.key(name).map(read).transpose()
    }

    /// A key that says yes or no; no unless it is given.
    ///
    /// # Errors
    /// `Usage` when it says neither.
    pub(super) fn flag(&self, name: &str) -> Result<bool, Failure> {
        match self.text(name)? {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(_) => Err(self.wrong(format!("?{name}= is neither true nor false"), "")),
        }
    }

    /// A fault of this target.
    pub(super) fn wrong(&self, reason: impl fmt::Display, hint: impl Into<String>) -> Failure {
        fault(&self.shown, reason, self.protocol, &hint.into())
    }

    /// The path without its first slash, decoded.
    ///
    /// # Errors
    /// `Usage` when it is not text.
    pub(super) fn decoded_path(&self) -> Result<String, Failure> {
        let path = self.path.strip_prefix('/').unwrap_or_default();
        decode_text(path).ok_or_else(|| self.wrong("the path is not UTF-8", ""))
    }

    /// The path as one of the file system's.
    ///
    /// # Errors
    /// `Usage` for a NUL byte, which no path can hold.
    pub(super) fn file_path(&self) -> Result<PathBuf, Failure> {
        let bytes = decode(&self.path);
        if bytes.is_empty() {
            return Err(self.wrong("no path", ""));
        }
        if bytes.contains(&0) {
            return Err(self.wrong("a path cannot hold a NUL byte", ""));
        }
        Ok(PathBuf::from(OsString::from_vec(bytes)))
    }

    /// Refuses a path where it would mean nothing.
    ///
    /// # Errors
    /// `Usage`
    pub(super) fn refuse_path(&self) -> Result<(), Failure> {
        match self.path.as_str() {
            "" | "/" => Ok(()),
            _ => Err(self.wrong(
                format!("a path means nothing to {}://", self.scheme.name),
                "",
            )),
        }
    }
}

fn fault(shown: &str, reason: impl fmt::Display, protocol: &Protocol, hint: &str) -> Failure {
    let hint = match hint {
        "" => format!("write it like {}", protocol.example),
        hint => hint.to_string(),
    };
    Failure::new(Kind::Usage, format!("{shown}: {reason}")).hint(hint)
}

/// Takes a target apart.
///
/// # Errors
/// `Usage`. No user, password or query is ever repeated.
pub(super) fn parse(text: &str, origin: Origin) -> Result<Target, Failure> {
    let shown = redacted(text);
    let Some((scheme, rest)) = text.split_once("://") else {
        let hint = match split_port(text) {
            Ok((host, Some(_))) if read_host(host).is_ok() => {
                format!("write tcp://{shown}, or the scheme of its protocol")
            }
            _ => format!("write SCHEME://…; the schemes are {}", protocol::schemes()),
        };
        return Err(Failure::new(Kind::Usage, format!("`{shown}` has no scheme")).hint(hint));
    };
    let Some((protocol, scheme)) = protocol::named(&scheme.to_ascii_lowercase()) else {
        return Err(unknown_scheme(scheme));
    };
    let wrong = |reason: &str, hint: &str| fault(&shown, reason, protocol, hint);
    if rest.contains('#') {
        return Err(wrong("a fragment (#) means nothing here", "write # as %23"));
    }
    if rest.chars().any(char::is_control) {
        return Err(wrong("there is a control character in it", ""));
    }
    let (place, query) = match rest.split_once('?') {
        Some((place, query)) => (place, Some(query)),
        None => (rest, None),
    };
    let (authority, path) = place.split_at(place.find('/').unwrap_or(place.len()));
    // An S3 key is taken literally: a percent sign in it is a percent sign.
    let is_escaped = protocol.shape != Shape::Bucket;
    if is_escaped && !(check_escapes(place) && query.is_none_or(check_escapes)) {
        return Err(wrong(
            "a percent sign without two hexadecimal digits",
            "write % as %25",
        ));
    }
    let mut target = Target {
        protocol,
        scheme,
        host: Host::Name(String::new()),
        port: scheme.port.unwrap_or_default(),
        user: None,
        password: None,
        path: path.to_string(),
        raw_query: None,
        keys: Vec::new(),
        foreign: Vec::new(),
        shown: format!("{}://", scheme.name),
    };
    if protocol.shape == Shape::Path {
        if !authority.is_empty() {
            let hint = format!(
                "a path begins with a slash: {}:///{}",
                scheme.name,
                one_line(place)
            );
            return Err(wrong("three slashes belong before the path", &hint));
        }
    } else {
        let authority = read_user(authority, &mut target, origin, &wrong)?;
        let has_port = read_authority(authority, &mut target, &wrong)?;
        target.shown.push_str(&target.host.to_string());
        if has_port {
            target.shown.push_str(&format!(":{}", target.port));
        }
    }
    target.shown.push_str(&one_line(path));
    read_query(query.unwrap_or_default(), &mut target, origin)?;
    Ok(target)
}

fn unknown_scheme(scheme: &str) -> Failure {
    let names = protocol::all_schemes().map(|scheme| scheme.name);
    let guess = nearest(&scheme.to_ascii_lowercase(), names, LIKE_OWN);
    let guess = guess.map_or_else(String::new, |name| format!("did you mean {name}? "));
    let is_plain = scheme.len() < 20 && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let shown = if is_plain { scheme } else { "…" };
    Failure::new(Kind::Usage, format!("unknown scheme `{shown}`"))
        .hint(format!("{guess}the schemes are {}", protocol::schemes()))
}

/// What may be shown of a target that cannot be taken apart: nothing before an at sign, and no query.
fn redacted(text: &str) -> String {
    let (scheme, rest) = text.split_once("://").unwrap_or(("", text));
    let rest = rest.rsplit('@').next().unwrap_or_default();
    let end = rest.find(['?', '#']).unwrap_or(rest.len());
    let is_scheme = scheme.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let scheme = if is_scheme { scheme } else { "…" };
    let slashes = if scheme.is_empty() { "" } else { "://" };
    one_line(&format!("{scheme}{slashes}{}", &rest[..end]))
}

/// Takes `user:password@` off.
fn read_user<'a>(
    authority: &'a str,
    target: &mut Target,
    origin: Origin,
    wrong: &dyn Fn(&str, &str) -> Failure,
) -> Result<&'a str, Failure> {
    let Some((login, rest)) = authority.rsplit_once('@') else {
        return Ok(authority);
    };
    let (user, password) = match login.split_once(':') {
        Some((user, password)) => (user, Some(password)),
        None => (login, None),
    };
    if password.is_some() && origin == Origin::Argument {
        return Err(public_password(wrong));
    }
    let text = |part| decode_text(part).ok_or_else(|| wrong("the user is not UTF-8", ""));
    match target.protocol.user {
        User::Named | User::Optional => {
            target.user = Some(text(user)?).filter(|user| !user.is_empty());
            let password = password.filter(|password| !password.is_empty());
            target.password = password.map(|password| Secret::new(decode(password)));
        }
        User::Ignored => target.foreign.push("the user".to_string()),
        User::None => {
            return Err(wrong(
                &format!("{}:// takes no user", target.scheme.name),
                "leave out what stands before the @",
            ));
        }
    }
    Ok(rest)
}

fn public_password(wrong: &dyn Fn(&str, &str) -> Failure) -> Failure {
    wrong(
        "a password in an argument is public",
        "give it with --password-file or --password-env, or the whole target in the variable \
         PODINIT_TARGETS",
    )
}

/// Reads `HOST:PORT`, or what stands in its place; whether a port was written.
fn read_authority(
    authority: &str,
    target: &mut Target,
    wrong: &dyn Fn(&str, &str) -> Failure,
) -> Result<bool, Failure> {
    if authority.contains(',') {
        return Err(wrong(
            "one host per target",
            "write several targets, one for each host",
        ));
    }
    let is_net = target.protocol.shape == Shape::Net;
    let (host, port) = split_port(authority).map_err(|reason| wrong(&reason, ""))?;
    if host.is_empty() {
        return Err(wrong(target.protocol.shape.missing(), ""));
    }
    match (is_net, port) {
        (false, Some(_)) => return Err(wrong("there is no port here", "")),
        (true, None) if target.scheme.port.is_none() => {
            return Err(wrong("no port", ""));
        }
        (_, Some(port)) => target.port = port,
        (_, None) => {}
    }
    target.host = if matches!(target.protocol.shape, Shape::Net | Shape::Name) {
        read_host(host).map_err(|reason| wrong(&reason, ""))?
    } else {
        Host::Name(host.to_string())
    };
    Ok(port.is_some())
}

fn read_query(query: &str, target: &mut Target, origin: Origin) -> Result<(), Failure> {
    let own = target.protocol.keys;
    let mut shown: Vec<String> = Vec::new();
    let mut is_hidden = false;
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let key = decode_text(key).unwrap_or_default();
        if key.eq_ignore_ascii_case("password") && origin == Origin::Argument {
            let wrong = |reason: &str, hint: &str| target.wrong(reason, hint);
            return Err(public_password(&wrong));
        }
        if target.protocol.is_query_theirs {
            is_hidden = true;
        } else if own.contains(&key.as_str()) {
            if target.key(&key).is_some() {
                return Err(
                    target.wrong(format!("?{key}= is given twice"), "leave one of them out")
                );
            }
            if SHOWN_KEYS.contains(&key.as_str()) {
                shown.push(format!("{key}={}", one_line(value)));
            } else {
                is_hidden = true;
            }
            target.keys.push((key, decode(value)));
        } else {
            is_hidden = true;
            refuse_unless_foreign(&key, target)?;
            target.foreign.push(format!("?{}=", one_line(&key)));
        }
    }
    if target.protocol.is_query_theirs && !query.is_empty() {
        target.raw_query = Some(query.to_string());
    }
    if is_hidden {
        shown.push("…".to_string());
    }
    if !shown.is_empty() {
        target.shown.push_str(&format!("?{}", shown.join("&")));
    }
    Ok(())
}

/// A key that is not podinit's own is the app's, where the URL may be the app's, unless it looks like
/// one of podinit's.
fn refuse_unless_foreign(key: &str, target: &Target) -> Result<(), Failure> {
    let own = target.protocol.keys;
    let guess = nearest(key, own.iter().copied(), LIKE_OWN);
    if guess.is_none() && target.protocol.is_shared {
        return Ok(());
    }
    let key = one_line(key);
    let hint = match (guess, own) {
        (Some(name), _) => format!("did you mean {name}"),
        (None, []) => format!("{}:// takes no options", target.scheme.name),
        (None, names) => format!("the options are {}", names.join(", ")),
    };
    Err(target.wrong(format!("unknown option ?{key}="), hint))
}

#[cfg(test)]
mod tests;
