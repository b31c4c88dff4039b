//! The arguments of `podinit fetch-secret`: each value is parsed here, once.

use std::path::PathBuf;

use clap::ArgAction;
use clap::builder::BoolishValueParser;
use reqwest::Url;

use super::auth::{self, Method};
use super::decode::Decode;
use super::name::check_path;
use super::render::{self, Format};
use super::spec::{ApiPath, SecretSpec};
use super::token::Revoke;
use crate::base::argument::{BadArgument, owner, read_mode};
use crate::base::text::one_line;
use crate::commands::Twins;

/// Read secrets of Vault or OpenBao, and write them as files, all or none
///
/// Logs in, reads or issues what is asked for, publishes all files in one step, and gives the token
/// back. A secret is never printed.
#[derive(Debug, clap::Args)]
#[command(override_usage = USAGE, after_long_help = after_long_help(), after_help = "See --help for examples.")]
pub struct Args {
    /// [FILE=]PATH[?PARAM=VALUE&...][#KEY]: a file per key, one key, or all in FILE
    #[arg(value_name = "SECRET")]
    pub(super) secrets: Vec<SecretSpec>,
    /// The directory that podinit owns: one invocation for each
    #[arg(long, env = "PODINIT_DIR", value_name = "DIR", required = true)]
    pub(super) dir: Option<PathBuf>,
    /// The server: http:// or https://, with or without a path
    #[arg(long, env = "PODINIT_ADDR", value_name = "URL", required = true, value_parser = address)]
    pub(super) addr: Option<Url>,
    /// Namespace of the secrets; root means none
    #[arg(long, env = "PODINIT_NAMESPACE", value_name = "NS", value_parser = namespace)]
    pub(super) namespace: Option<Namespace>,
    /// Namespace of the login and of the token's own calls [default: as --namespace]
    #[arg(long, env = "PODINIT_AUTH_NAMESPACE", value_name = "NS", value_parser = namespace)]
    pub(super) auth_namespace: Option<Namespace>,
    /// Login method [default: kubernetes if the --jwt-file exists, else token]
    #[arg(long, env = "PODINIT_AUTH", value_name = "METHOD", value_parser = method, help = auth_help())]
    pub(super) auth: Option<&'static Method>,
    /// Mount of the login method [default: the method's name]
    #[arg(long, env = "PODINIT_AUTH_PATH", value_name = "PATH", value_parser = auth_path)]
    pub(super) auth_path: Option<String>,
    /// Role to log in as; with approle, the role that a wrapped secret ID must come from
    #[arg(long, env = "PODINIT_ROLE", value_name = "NAME")]
    pub(super) role: Option<String>,
    /// JWT for kubernetes and jwt, read again before every attempt [default: the Pod's own]
    #[arg(long, env = "PODINIT_JWT_FILE", value_name = "FILE")]
    pub(super) jwt_file: Option<PathBuf>,
    /// Role ID for approle
    #[arg(long, env = "PODINIT_ROLE_ID_FILE", value_name = "FILE")]
    pub(super) role_id_file: Option<PathBuf>,
    /// Secret ID for approle
    #[arg(long, env = "PODINIT_SECRET_ID_FILE", value_name = "FILE")]
    pub(super) secret_id_file: Option<PathBuf>,
    /// The secret-ID file holds a response-wrapping token
    #[arg(long, env = "PODINIT_SECRET_ID_WRAPPED", value_parser = BoolishValueParser::new(), action = ArgAction::SetTrue)]
    pub(super) secret_id_wrapped: bool,
    /// User name for userpass
    #[arg(long, env = "PODINIT_USERNAME", value_name = "NAME")]
    pub(super) username: Option<String>,
    /// Password for userpass
    #[arg(long, env = "PODINIT_PASSWORD_FILE", value_name = "FILE")]
    pub(super) password_file: Option<PathBuf>,
    /// Token [default: the variable `BAO_TOKEN`, then `VAULT_TOKEN`, then $HOME/.vault-token]
    #[arg(long, env = "PODINIT_TOKEN_FILE", value_name = "FILE")]
    pub(super) token_file: Option<PathBuf>,
    /// Client certificate, PEM; required for cert
    #[arg(long, env = "PODINIT_CLIENT_CERT", value_name = "FILE")]
    pub(super) client_cert: Option<PathBuf>,
    /// Key of the client certificate, PEM
    #[arg(long, env = "PODINIT_CLIENT_KEY", value_name = "FILE")]
    pub(super) client_key: Option<PathBuf>,
    /// Authorities to trust, PEM, or a directory of such files; replaces the system's
    #[arg(long, env = "PODINIT_CA_FILE", value_name = "FILE")]
    pub(super) ca_file: Option<PathBuf>,
    /// Name that the server's certificate must have [default: the host of --addr]; proxies are not
    /// used then
    #[arg(long, env = "PODINIT_TLS_SERVER_NAME", value_name = "NAME")]
    pub(super) tls_server_name: Option<String>,
    /// Format of whole secrets [default: by the file's extension]
    #[arg(long, env = "PODINIT_FORMAT", value_name = "FORMAT", value_parser = format, help = format_help())]
    pub(super) format: Option<&'static Format>,
    /// How the values of single keys are decoded; ?decode= beats it
    #[arg(long, env = "PODINIT_DECODE", value_name = "WAY")]
    pub(super) decode: Option<Decode>,
    /// Mode of the files, at most 0777; ?mode= beats it
    #[arg(long, env = "PODINIT_MODE", value_name = "OCTAL", default_value = "0440", value_parser = mode)]
    pub(super) mode: u32,
    /// Mode of the directories that podinit makes
    #[arg(long, env = "PODINIT_DIR_MODE", value_name = "OCTAL", default_value = "0755", value_parser = dir_mode)]
    pub(super) dir_mode: u32,
    /// Owner of the files, as numbers [default: unchanged]
    #[arg(long, env = "PODINIT_OWNER", value_name = "UID:GID", value_parser = owner)]
    pub(super) owner: Option<(u32, u32)>,
    /// Template SRC rendered into DEST, with the function secret("PATH")
    #[arg(long, env = "PODINIT_TEMPLATE", value_name = "SRC:DEST", action = ArgAction::Append, value_parser = template)]
    pub(super) template: Vec<TemplateArg>,
    /// Revoke the token at the end; auto: that of a login, unless a lease depends on it
    #[arg(
        long,
        env = "PODINIT_REVOKE",
        value_name = "WHEN",
        default_value = "auto"
    )]
    pub(super) revoke: Revoke,
    /// The same as --revoke never
    #[arg(long, env = "PODINIT_KEEP_TOKEN", value_parser = BoolishValueParser::new(), action = ArgAction::SetTrue, conflicts_with = "revoke")]
    pub(super) keep_token: bool,
    /// Fail unless DIR is on tmpfs or ramfs
    #[arg(long, env = "PODINIT_REQUIRE_TMPFS", value_parser = BoolishValueParser::new(), action = ArgAction::SetTrue)]
    pub(super) require_tmpfs: bool,
}

/// The variables of Vault's and OpenBao's own clients.
pub const TWINS: Twins = &[
    ("addr", &["BAO_ADDR", "VAULT_ADDR"]),
    ("namespace", &["BAO_NAMESPACE", "VAULT_NAMESPACE"]),
    ("client_cert", &["BAO_CLIENT_CERT", "VAULT_CLIENT_CERT"]),
    ("client_key", &["BAO_CLIENT_KEY", "VAULT_CLIENT_KEY"]),
    (
        "ca_file",
        &["BAO_CACERT", "BAO_CAPATH", "VAULT_CACERT", "VAULT_CAPATH"],
    ),
    (
        "tls_server_name",
        &["BAO_TLS_SERVER_NAME", "VAULT_TLS_SERVER_NAME"],
    ),
];

const USAGE: &str = "podinit fetch-secret [OPTIONS] --dir <DIR> --addr <URL> <SECRET>...
       podinit fetch-secret [OPTIONS] --dir <DIR> --addr <URL> --template <SRC:DEST> [SECRET]...";

const EXAMPLES: &str = "\
Forms of a SECRET:
  secret/app                    one file per key, named by the key
  db/=secret/app                the same, below db/
  secret/app#password           the file password
  pw=secret/app?version=3#key   one key of one version, in the file pw
  app.json=secret/app           the whole secret, in the format of the extension
  tls/=pki/issue/web?common_name=a.example&ttl=24h
                                a certificate: tls/tls.crt, tls/tls.key, tls/ca.crt
PARAMs version, decode and mode are podinit's own; any other makes the call a write.

Examples:
  podinit fetch-secret --dir ./out --addr http://127.0.0.1:8200 \\
      --token-file ~/.vault-token secret/app#password
  podinit fetch-secret --dir ./out --addr https://vault:8200 \\
      --auth approle --role-id-file rid --secret-id-file sid \\
      'key.bin=secret/app?version=3&decode=base64#key'
  podinit fetch-secret --dir ./out --addr https://vault:8200 --role app \\
      --template app.conf.j2:app.conf --dry-run

A template is Jinja: password={{ secret(\"secret/app\").password }}

In a Pod:
  initContainers:
  - name: secrets
    image: ghcr.io/podinit/podinit:0.1.0
    args: [fetch-secret, --dir=/secrets, --role=app, --ca-file=/ca/ca.crt,
           \"--addr=https://vault.vault:8200\", \"secret/app\", \"db.env=secret/db\",
           \"tls/=pki/issue/web?common_name=app.example&ttl=24h&mode=0400\"]
    securityContext: {runAsNonRoot: true, runAsUser: 65532,
                      allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}
    volumeMounts:
    - {name: secrets, mountPath: /secrets}
    - {name: ca, mountPath: /ca, readOnly: true}
  volumes:
  - {name: secrets, emptyDir: {medium: Memory}}
  - {name: ca, configMap: {name: vault-ca}}";

fn after_long_help() -> String {
    let mut text = EXAMPLES.to_string();
    text.push_str("\n\nLogin methods and what they need:\n");
    for method in auth::METHODS {
        text.push_str(&format!("  {:<11} {}\n", method.name, method.about));
    }
    text.push_str("\nFormats:\n");
    for format in render::FORMATS {
        text.push_str(&format!("  {:<11} {}\n", format.name, format.about));
    }
    text.push_str(
        "\nVAULT_SKIP_VERIFY and its twin are not obeyed: verification cannot be switched off.",
    );
    text
}

fn auth_help() -> String {
    format!(
        "Login method: {} [default: kubernetes if the --jwt-file exists, else token]",
        auth::names()
    )
}

fn format_help() -> String {
    format!(
        "Format of whole secrets: {} [default: by the file's extension]",
        render::names()
    )
}

fn bad(reason: impl Into<String>, hint: impl Into<String>) -> BadArgument {
    BadArgument {
        reason: reason.into(),
        hint: hint.into(),
    }
}

/// Never repeats the text, which may hold a password.
fn address(text: &str) -> Result<Url, BadArgument> {
    const HINT: &str =
        "write http://HOST:PORT or https://HOST:PORT, with a path prefix if there is one";
    let url = Url::parse(text).map_err(|_| bad("--addr is not a URL", HINT))?;
    let wrong = if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        "--addr is neither http:// nor https:// and a host"
    } else if !url.username().is_empty() || url.password().is_some() {
        "--addr holds a user or a password"
    } else if url.query().is_some() || url.fragment().is_some() {
        "--addr holds a query or a fragment"
    } else {
        return Ok(url);
    };
    Err(bad(wrong, HINT))
}

/// A namespace; none is the root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Namespace(pub(super) Option<String>);

fn namespace(text: &str) -> Result<Namespace, BadArgument> {
    let name = text.trim_matches('/');
    if !name.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(bad(
            format!("the namespace `{}` is not printable ASCII", one_line(name)),
            "write it as the server does: team1, or team1/sub",
        ));
    }
    Ok(Namespace(
        (!name.is_empty() && name != "root").then(|| name.to_string()),
    ))
}

fn method(text: &str) -> Result<&'static Method, BadArgument> {
    auth::named(text).ok_or_else(|| {
        bad(
            format!("--auth `{}` is no login method", one_line(text)),
            format!("one of {}", auth::names()),
        )
    })
}

fn auth_path(text: &str) -> Result<String, BadArgument> {
    let text = text.trim_matches('/');
    let text = text.strip_prefix("auth/").unwrap_or(text);
    text.parse::<ApiPath>()
        .map(|path| path.wire())
        .map_err(|reason| {
            bad(
                format!("--auth-path `{}` {reason}", one_line(text)),
                "write the mount's path, such as kubernetes or team/approle",
            )
        })
}

fn format(text: &str) -> Result<&'static Format, BadArgument> {
    render::named(text).ok_or_else(|| {
        bad(
            format!("--format `{}` is no format", one_line(text)),
            format!("one of {}", render::names()),
        )
    })
}

fn mode(text: &str) -> Result<u32, BadArgument> {
    read_mode(text).map_err(|reason| {
        bad(
            format!("the mode `{}` {reason}", one_line(text)),
            "write octal digits, such as 0440",
        )
    })
}

fn dir_mode(text: &str) -> Result<u32, BadArgument> {
    let mode = mode(text)?;
    if mode & 0o700 == 0o700 {
        return Ok(mode);
    }
    Err(bad(
        format!("--dir-mode {mode:04o} keeps podinit itself out"),
        "give the owner all rights, such as 0750",
    ))
}

/// `SRC:DEST`
#[derive(Debug, Clone)]
pub(super) struct TemplateArg {
    pub(super) source: PathBuf,
    pub(super) file: String,
}

fn template(text: &str) -> Result<TemplateArg, BadArgument> {
    const HINT: &str = "write SRC:DEST, such as /etc/templates/app.conf.j2:app.conf";
    let shown = one_line(text);
    let Some((source, file)) = text
        .rsplit_once(':')
        .filter(|(source, _)| !source.is_empty())
    else {
        return Err(bad(format!("--template `{shown}` is not SRC:DEST"), HINT));
    };
    check_path(file).map_err(|unfit| {
        bad(
            format!("--template `{shown}` has a bad DEST: {unfit}"),
            HINT,
        )
    })?;
    Ok(TemplateArg {
        source: source.into(),
        file: file.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_scheme_host_and_prefix_and_never_repeated() {
        for good in ["http://h", "https://h:8200/vault", "http://[::1]:8200/"] {
            assert!(address(good).is_ok(), "{good}");
        }
        for wrong in [
            "https://u:hunter2@h",
            "https://hunter2@h",
            "h:8200",
            "https://h/?x=hunter2",
            "https://h/#hunter2",
            "ftp://hunter2",
            "hunter2",
            "unix:/x",
        ] {
            assert!(
                !address(wrong).unwrap_err().reason.contains("hunter2"),
                "{wrong}"
            );
        }
    }

    #[test]
    fn namespaces_modes_and_owners_are_read() {
        assert_eq!(
            namespace("/team1/a/").unwrap(),
            Namespace(Some("team1/a".into()))
        );
        assert_eq!(namespace("root").unwrap(), Namespace(None));
        assert!(namespace("a\nb").is_err());
        assert_eq!(mode("0640").unwrap(), 0o640);
        assert!(mode("1777").is_err() && dir_mode("0555").is_err());
        assert_eq!(owner("0:1000").unwrap(), (0, 1000));
        for wrong in ["0", "a:b", "-1:0", "0:4294967295", "+1:0", ":"] {
            assert!(owner(wrong).is_err(), "{wrong}");
        }
        assert_eq!(auth_path("auth/team/approle/").unwrap(), "team/approle");
        assert!(auth_path("").is_err());
        let split = template("/a:b/c.j2:d/e").unwrap();
        assert_eq!(
            (split.source.to_str().unwrap(), split.file.as_str()),
            ("/a:b/c.j2", "d/e")
        );
        for wrong in ["a", ":b", "a:", "a:../b", "a:b/"] {
            assert!(template(wrong).is_err(), "{wrong}");
        }
    }
}
