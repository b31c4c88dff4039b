//! `podinit fetch-secret`: secrets of Vault or OpenBao as files in a volume, all or none.

mod answer;
mod args;
mod auth;
mod decode;
mod fetch;
mod json;
mod login;
mod mount;
mod name;
mod output;
mod pki;
mod plan;
mod publish;
mod redirect;
mod refusal;
mod render;
mod report;
mod request;
mod spec;
mod template;
mod token;
mod vault;
mod volume;
mod wire;
mod words;

use std::sync::Arc;

use tracing::info;

pub use self::args::{Args, TWINS};
use self::auth::Prepared;
use self::fetch::Store;
use self::name::top;
use self::output::File;
use self::publish::Dress;
use self::report::Lease;
use self::request::{Request, Way};
use self::template::Rendered;
use self::token::{Fate, Held, Maker, give_back};
use self::vault::Vault;
use self::volume::{Volume, blocking};
use self::wire::Wire;
use super::{Outcome, Run};
use crate::base::failure::{Failure, Kind};
use crate::base::http::{Client, Options, origin};

/// Does what the arguments ask for.
pub(super) async fn run(args: Args, run: &Run) -> Outcome {
    work(args, run).await.unwrap_or_else(Outcome::from)
}

async fn work(args: Args, run: &Run) -> Result<Outcome, Failure> {
    let environment = run.environment.clone();
    let reading = move || request::read(args, environment);
    let mut request = blocking(&run.deadline, "read the arguments' files", reading).await?;
    let vault = connect(&request, run)?;
    let demands = request.demands.clone();
    if run.dry_run {
        volume::inspect(demands, &run.deadline).await?;
        return plan::plan(&mut request, &vault, run).await;
    }
    let volume = volume::prepare(demands, &run.deadline).await?;
    loop {
        let held = get_token(&mut request.way, &vault).await?;
        let mut store = Store::default();
        match session(&request, &vault, &volume, &held, &mut store).await {
            Ok((files, is_changed)) => {
                return finish(&request, &vault, &held, &store, &files, is_changed, run).await;
            }
            Err(failure) if failure.kind() == Kind::Denied && held.is_outlived() => {
                info!("the token has outlived its time, logging in again: {failure}");
            }
            Err(failure) => {
                let leases = paths(&store);
                give_back(&held, request.revoke, &leases, true, &vault).await;
                return Err(failure);
            }
        }
    }
}

fn connect(request: &Request, run: &Run) -> Result<Vault, Failure> {
    let client = Client::new(&Options {
        roots: &request.roots,
        identity: request.identity.as_ref(),
        server_name: request.tls_server_name.as_deref(),
        origin: &request.address,
    })?;
    Ok(Vault {
        wire: Wire::new(client, &request.address),
        address: format!(
            "{}{}",
            origin(&request.address),
            request.address.path().trim_end_matches('/')
        ),
        namespace: request.namespace.clone(),
        auth_namespace: request.auth_namespace.clone(),
        known: words::Known::default(),
        deadline: run.deadline.clone(),
    })
}

async fn get_token(way: &mut Way, vault: &Vault) -> Result<Held, Failure> {
    match &mut way.prepared {
        Prepared::Given(secret) => {
            vault.known.learn(secret.clone());
            Ok(Held {
                secret: secret.clone(),
                maker: Maker::Somebody,
                uses: 0,
            })
        }
        Prepared::Login(login) => login::log_in(login.as_mut(), &way.mount, vault).await,
    }
}

/// All that is done with one token, up to the moment at which all files are there.
async fn session(
    request: &Request,
    vault: &Vault,
    volume: &Arc<Volume>,
    held: &Held,
    store: &mut Store,
) -> Result<(Vec<File>, bool), Failure> {
    store.fetch(&request.asks, vault, held).await?;
    let mut files = output::render(&request.outputs, &store.by_ask)?;
    for template in &request.templates {
        let bytes = loop {
            match template.render(&store.by_ask)? {
                Rendered::Whole(bytes) => break bytes,
                Rendered::Wants(asks) => {
                    let asks: Vec<_> = asks.into_iter().collect();
                    store.fetch(&asks, vault, held).await?;
                }
            }
        };
        files.push(File {
            name: template.file.clone(),
            bytes,
            mode: request.mode,
            from: template.source.clone(),
            version: None,
        });
    }
    output::check_names(&files)?;
    let dress = Dress {
        owner: request.demands.owner,
        dir_mode: request.demands.dir_mode,
    };
    let (volume, deadline) = (Arc::clone(volume), vault.deadline.clone());
    blocking(&vault.deadline, "publish the files", move || {
        let tops = files.iter().map(|file| top(&file.name));
        volume::check_names(&volume.folder, tops)?;
        let is_changed = publish::publish(&volume, &files, dress, &deadline)?;
        Ok((files, is_changed))
    })
    .await
}

/// Gives the token back and says what was done.
async fn finish(
    request: &Request,
    vault: &Vault,
    held: &Held,
    store: &Store,
    files: &[File],
    is_changed: bool,
    run: &Run,
) -> Result<Outcome, Failure> {
    // Asked for before the revoke, after which nobody knows.
    let life = match store.leases.as_slice() {
        [] => None,
        [_, ..] => held.life(vault).await,
    };
    let fate = give_back(held, request.revoke, &paths(store), false, vault).await;
    let leases: Vec<Lease> = store
        .leases
        .iter()
        .map(|(path, seconds)| Lease {
            path: path.clone(),
            seconds: *seconds,
            ends_in: match (fate, life) {
                (Fate::Revoked, _) => 0,
                (Fate::Kept | Fate::Given | Fate::Expiring, Some(life)) => life.min(*seconds),
                (Fate::Kept | Fate::Given | Fate::Expiring, None) => *seconds,
            },
        })
        .collect();
    if fate != Fate::Revoked {
        for lease in &leases {
            info!(
                "the credentials of {} end in {} s, with the token or with their lease",
                lease.path, lease.ends_in
            );
        }
    }
    let dir = &request.demands.dir;
    Ok(Outcome {
        stdout: report::render(files, is_changed, dir, &leases, fate, run.output)?,
        ending: Ok(report::summary(
            store.by_ask.len(),
            files.len(),
            run.deadline.elapsed().as_secs_f64(),
        )),
    })
}

fn paths(store: &Store) -> Vec<&str> {
    store.leases.iter().map(|(path, _)| path.as_str()).collect()
}
