//! Everything that the arguments ask for, once the files are read and all is checked together.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::path::PathBuf;

use reqwest::Url;

use super::args::{Args, Namespace, TemplateArg};
use super::auth::{self, Given, Prepared};
use super::decode::Decode;
use super::name::{clash, top};
use super::output::{Output, OutputKind};
use super::render::{self, Format};
use super::spec::{Ask, SecretSpec, Shape};
use super::template::Template;
use super::token::Revoke;
use super::volume::Demands;
use crate::base::environment::Environment;
use crate::base::failure::{Failure, Kind};
use crate::base::http::{Identity, Roots};
use crate::base::text::one_line;

/// A longer template is a mistake; bytes.
const MAX_TEMPLATE: u64 = 4 << 20;

/// Where `decode` has a meaning.
const KEYS: &str = "decode is for single keys: PATH, DIR/=PATH, FILE=PATH#KEY";

/// How to get a token.
#[derive(Debug)]
pub(super) struct Way {
    pub(super) prepared: Prepared,
    /// The mount of the login method, encoded.
    pub(super) mount: String,
}

/// Everything that is asked for; nothing has been touched.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) outputs: Vec<Output>,
    pub(super) templates: Vec<Template>,
    /// What outputs and templates ask for, each once.
    pub(super) asks: Vec<Ask>,
    pub(super) demands: Demands,
    pub(super) address: Url,
    pub(super) namespace: Option<String>,
    pub(super) auth_namespace: Option<String>,
    pub(super) way: Way,
    pub(super) roots: Roots,
    pub(super) identity: Option<Identity>,
    pub(super) tls_server_name: Option<String>,
    pub(super) mode: u32,
    pub(super) revoke: Revoke,
}

/// Reads the files that the arguments name, and checks what the arguments say together.
///
/// # Errors
/// `Usage`.
pub(super) fn read(args: Args, environment: Environment) -> Result<Request, Failure> {
    let Args {
        secrets,
        dir,
        addr,
        namespace,
        auth_namespace,
        auth,
        auth_path,
        role,
        jwt_file,
        role_id_file,
        secret_id_file,
        secret_id_wrapped,
        username,
        password_file,
        token_file,
        client_cert,
        client_key,
        ca_file,
        tls_server_name,
        format,
        decode,
        mode,
        dir_mode,
        owner,
        template,
        revoke,
        keep_token,
        require_tmpfs,
    } = args;
    let missing = |flag: &str| Failure::new(Kind::Usage, format!("{flag} is required"));
    let dir = dir.ok_or_else(|| missing("--dir"))?;
    let address = addr.ok_or_else(|| missing("--addr"))?;
    if secrets.is_empty() && template.is_empty() {
        return Err(
            Failure::new(Kind::Usage, "no SECRET and no --template given")
                .hint("say what to fetch, such as secret/app or pw=secret/app#password"),
        );
    }
    check_use(&secrets, format, decode)?;
    let outputs = outputs(secrets, format, decode, mode)?;
    let templates = templates(template)?;
    check_static_names(&outputs, &templates)?;
    let asks = asks(&outputs, &templates)?;
    let identity = identity(client_cert, client_key)?;
    let given = Given {
        auth_path: auth_path.clone(),
        role,
        jwt_file,
        role_id_file,
        secret_id_file,
        secret_id_wrapped,
        username,
        password_file,
        token_file,
        has_certificate: identity.is_some(),
        environment,
    };
    let method = auth::choose(auth, &given);
    let way = Way {
        prepared: method.prepare(&given)?,
        mount: auth_path.unwrap_or_else(|| method.name.to_string()),
    };
    let modes: BTreeSet<u32> = outputs
        .iter()
        .map(|output| output.mode)
        .chain([mode])
        .collect();
    let tops = static_names(&outputs, &templates).map(|name| top(name).to_string());
    let demands = Demands {
        dir,
        dir_mode,
        require_tmpfs,
        owner,
        modes: modes.into_iter().collect(),
        tops: tops.collect(),
    };
    let namespace = namespace.and_then(|Namespace(name)| name);
    Ok(Request {
        asks,
        demands,
        address,
        auth_namespace: auth_namespace.map_or_else(|| namespace.clone(), |Namespace(name)| name),
        namespace,
        way,
        roots: ca_file.map_or(Roots::System, Roots::Path),
        identity,
        tls_server_name,
        mode,
        revoke: if keep_token { Revoke::Never } else { revoke },
        outputs,
        templates,
    })
}

/// What outputs and templates ask for, each once, in their order.
fn asks(outputs: &[Output], templates: &[Template]) -> Result<Vec<Ask>, Failure> {
    let mut all: Vec<Ask> = outputs.iter().map(|output| output.ask.clone()).collect();
    for template in templates {
        all.extend(template.check()?);
    }
    let mut asks: Vec<Ask> = Vec::new();
    for ask in all {
        if !asks.contains(&ask) {
            asks.push(ask);
        }
    }
    Ok(asks)
}

fn identity(
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
) -> Result<Option<Identity>, Failure> {
    match (certificate, key) {
        (None, None) => Ok(None),
        (Some(certificate), Some(key)) => Identity::read(&certificate, &key).map(Some),
        (Some(_), None) | (None, Some(_)) => Err(Failure::new(
            Kind::Usage,
            "--client-cert and --client-key belong together",
        )
        .hint("give both or neither")),
    }
}

/// Refuses a format or a decoding that no output would use.
fn check_use(
    secrets: &[SecretSpec],
    format: Option<&'static Format>,
    decode: Option<Decode>,
) -> Result<(), Failure> {
    let is_whole = |spec: &SecretSpec| matches!(spec.shape, Shape::Whole { .. });
    if format.is_some() && !secrets.iter().any(is_whole) {
        return Err(Failure::new(Kind::Usage, "no output uses --format")
            .hint("a format is for a whole secret in one file: FILE=PATH"));
    }
    if decode.is_some() && secrets.iter().all(is_whole) {
        return Err(Failure::new(Kind::Usage, "no output uses --decode").hint(KEYS));
    }
    match secrets
        .iter()
        .find(|spec| is_whole(spec) && spec.decode.is_some())
    {
        None => Ok(()),
        Some(spec) => Err(Failure::new(
            Kind::Usage,
            format!(
                "`decode=` has no meaning for the whole secret {}",
                spec.ask.path
            ),
        )
        .hint(KEYS)),
    }
}

fn outputs(
    secrets: Vec<SecretSpec>,
    format: Option<&'static Format>,
    decode: Option<Decode>,
    default_mode: u32,
) -> Result<Vec<Output>, Failure> {
    secrets
        .into_iter()
        .map(|spec| {
            let SecretSpec {
                ask,
                shape,
                decode: own,
                mode,
            } = spec;
            let format = format.or_else(|| match &shape {
                Shape::Whole { file } => render::by_extension(file),
                Shape::PerKey { .. } | Shape::Key { .. } => None,
            });
            let name = match &shape {
                Shape::Whole { file } => one_line(file),
                Shape::PerKey { .. } | Shape::Key { .. } => String::new(),
            };
            let kind = OutputKind::new(shape, own.or(decode), format).ok_or_else(|| {
                Failure::new(
                    Kind::Usage,
                    format!("the extension of `{name}` stands for no format"),
                )
                .hint(format!(
                    "use {}, or say --format with one of {}; FILE=PATH#KEY writes one key's bytes",
                    render::extensions(),
                    render::names()
                ))
            })?;
            Ok(Output {
                ask,
                kind,
                mode: mode.unwrap_or(default_mode),
            })
        })
        .collect()
}

fn templates(args: Vec<TemplateArg>) -> Result<Vec<Template>, Failure> {
    args.into_iter()
        .map(|TemplateArg { source, file }| {
            let mut text = String::new();
            std::fs::File::open(&source)
                .and_then(|opened| opened.take(MAX_TEMPLATE).read_to_string(&mut text))
                .map_err(|error| {
                    Failure::caused_by(Kind::Usage, error)
                        .context(format!("read the template {}", source.display()))
                })?;
            Ok(Template {
                source: one_line(&source.to_string_lossy()),
                text,
                file,
            })
        })
        .collect()
}

/// The files' names that are known before any secret is.
fn static_names<'a>(
    outputs: &'a [Output],
    templates: &'a [Template],
) -> impl Iterator<Item = &'a str> {
    outputs
        .iter()
        .filter_map(Output::file)
        .chain(templates.iter().map(|template| template.file.as_str()))
}

fn check_static_names(outputs: &[Output], templates: &[Template]) -> Result<(), Failure> {
    let Some((one, other)) = clash(static_names(outputs, templates)) else {
        return Ok(());
    };
    let names = if one == other {
        format!(
            "`{}` is a duplicate: two outputs have that name",
            one_line(one)
        )
    } else {
        format!(
            "`{}` beside `{}` is a duplicate: one cannot be file and directory",
            one_line(one),
            one_line(other)
        )
    };
    Err(Failure::new(Kind::Usage, names).hint("give each output a name of its own: FILE=PATH#KEY"))
}
