//! `--dry-run`: everything up to the first secret, which is not read.

use std::collections::BTreeMap;

use http::Method;
use serde::Deserialize;
use tracing::warn;

use super::answer;
use super::auth::Prepared;
use super::fetch::Store;
use super::mount::Api;
use super::output::Output;
use super::report;
use super::request::Request;
use super::token::{Fate, Held, Revoke, give_back};
use super::vault::{Place, Vault};
use super::{get_token, login};
use crate::base::failure::{Failure, Kind};
use crate::base::secret::Secret;
use crate::commands::{Outcome, Run};

/// The capabilities of a token on some paths.
#[derive(Deserialize)]
struct Capabilities(BTreeMap<String, serde_json::Value>);

/// Logs in, asks for mounts and capabilities, and gives the token back.
///
/// # Errors
/// As a run would fail; `Denied` for a missing capability.
pub(super) async fn plan(
    request: &mut Request,
    vault: &Vault,
    run: &Run,
) -> Result<Outcome, Failure> {
    if let Prepared::Login(login) = &request.way.prepared
        && let Some(wrapped) = login.wrapped()
    {
        login::check_wrapping(&wrapped, &request.way.mount, vault).await?;
        warn!("the plan ends at the wrapped secret ID, which can be unwrapped only once");
        return show(request, &BTreeMap::new(), None, run);
    }
    let held = get_token(&mut request.way, vault).await?;
    let checked = check(request, vault, &held).await;
    let revoke = match request.revoke {
        Revoke::Always => Revoke::Always,
        Revoke::Auto | Revoke::Never => Revoke::Auto,
    };
    let fate = give_back(&held, revoke, &[], checked.is_err(), vault).await;
    show(request, &checked?, Some(fate), run)
}

/// The API paths behind what is asked, each of them allowed.
async fn check(
    request: &Request,
    vault: &Vault,
    held: &Held,
) -> Result<BTreeMap<String, String>, Failure> {
    let mut store = Store::default();
    let resolved = store.resolve(&request.asks, vault, held).await?;
    let apis: Vec<&Api> = resolved.iter().map(|(_, api)| api).collect();
    let paths: Vec<String> = apis.iter().map(|api| api.path.to_string()).collect();
    if !paths.is_empty() {
        check_capabilities(&apis, &paths, vault, held).await?;
    }
    Ok(resolved
        .into_iter()
        .map(|(ask, api)| (ask.path.to_string(), api.path.to_string()))
        .collect())
}

async fn check_capabilities(
    apis: &[&Api],
    paths: &[String],
    vault: &Vault,
    held: &Held,
) -> Result<(), Failure> {
    let question = "sys/capabilities-self".to_string();
    let mut call = vault.new_call(Method::POST, question, Place::Secrets, Some(&held.secret));
    call.body = Some(Secret::new(
        serde_json::json!({ "paths": paths }).to_string(),
    ));
    let reply = vault
        .settle(call, "ask for the token's capabilities")
        .await?;
    let told = if reply.status == 200 {
        answer::data::<Capabilities>(reply.body.expose())
    } else {
        None
    };
    let Some(Capabilities(told)) = told else {
        warn!(
            "the plan is unchecked: the capabilities are not told: {}",
            vault.told(&reply)
        );
        return Ok(());
    };
    for api in apis {
        let path = api.path.to_string();
        let held: Vec<&str> = told
            .get(&path)
            .and_then(serde_json::Value::as_array)
            .map(|all| all.iter().filter_map(serde_json::Value::as_str).collect())
            .unwrap_or_default();
        if !is_enough(api.write.is_some(), &held) {
            let needed = api.capability();
            return Err(Failure::new(
                Kind::Denied,
                format!(
                    "{path} at {}: the token lacks the capability {needed}",
                    vault.address
                ),
            )
            .hint(format!(
                "add to the policy: path \"{path}\" {{ capabilities = [\"{needed}\"] }}"
            )));
        }
    }
    Ok(())
}

fn is_enough(is_write: bool, held: &[&str]) -> bool {
    let enough: &[&str] = if is_write {
        &["root", "create", "update"]
    } else {
        &["root", "read"]
    };
    held.iter().any(|capability| enough.contains(capability))
}

fn show(
    request: &Request,
    apis: &BTreeMap<String, String>,
    fate: Option<Fate>,
    run: &Run,
) -> Result<Outcome, Failure> {
    let from = |output: &Output| {
        let path = output.ask.path.to_string();
        apis.get(&path).cloned().unwrap_or(path)
    };
    let outputs: Vec<(&Output, String)> = request
        .outputs
        .iter()
        .map(|output| (output, from(output)))
        .collect();
    let planned = report::planned(&outputs, &request.templates, request.mode);
    Ok(Outcome {
        stdout: report::render_plan(&planned, &request.demands.dir, fate, run.output)?,
        ending: Ok(format!(
            "nothing was written, {:.2} s",
            run.deadline.elapsed().as_secs_f64()
        )),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_needs_one_of_two_capabilities() {
        assert!(is_enough(false, &["read", "list"]));
        assert!(is_enough(false, &["root"]));
        assert!(!is_enough(false, &["deny"]) && !is_enough(false, &["update"]));
        assert!(is_enough(true, &["create"]) && is_enough(true, &["update"]));
        assert!(!is_enough(true, &["read"]));
    }
}
