//! `podinit fetch-object`: objects of S3, GCS, Azure and HTTP in a volume, whole, checked, in one step.

mod access;
mod archive;
mod args;
mod check;
mod delete;
mod destination;
mod digest;
mod draft;
mod engine;
mod fetch_digests;
mod filling;
mod folders;
mod globs;
mod hall;
mod help;
mod keys;
mod list_file;
mod listing;
mod local;
mod location;
mod misuse;
mod name;
mod object;
mod offload;
mod parents;
mod places;
mod plan;
mod prefix;
mod record;
mod report;
mod request;
mod source;
mod space;
mod state;
mod sums;
mod survey;
mod tree;
mod unpack;
mod unpacked;
mod unpacked_publish;
mod work;

use futures_util::stream::{FuturesUnordered, StreamExt as _};

pub use self::args::{Args, TWINS};
use self::engine::{Shared, Tuning};
use self::offload::blocking;
use self::report::Done;
use self::request::{Request, What};
use self::work::{Held, Named, Work};
use super::{Outcome, Output, Run};
use crate::base::failure::{Failure, Kind};
use crate::base::file;
use crate::base::progress::Progress;

/// Does what the arguments ask for.
pub(super) async fn run(args: Args, run: &Run) -> Outcome {
    // Modes are those that are asked for: a change afterwards could cost a directory its setgid bit.
    file::ignore_umask();
    work(args, run).await.unwrap_or_else(Outcome::from)
}

async fn work(args: Args, run: &Run) -> Result<Outcome, Failure> {
    let environment = run.environment.clone();
    let reading = move || {
        let request = request::read(args, environment)?;
        check::check(&request.entries, request.options.atomic)?;
        Ok(request)
    };
    let mut request = blocking(&run.deadline, "read the arguments' files", reading).await?;
    let digests = fetch_digests::fetch(&mut request, &run.deadline).await?;
    let all = open(&request)?;
    let tuning = Tuning {
        parallel: usize::from(request.tuning.parallel),
        part_size: request.tuning.part_size,
        max_bandwidth: request.tuning.max_bandwidth,
        stall_timeout: request.tuning.stall_timeout,
    };
    let progress = Progress::start(run.output == Output::Text);
    let shared = Shared::new(run.deadline.clone(), tuning, progress);
    let work = Work::new(&request, &shared, &run.deadline, digests);
    let seconds = || run.deadline.elapsed().as_secs_f64();
    if run.dry_run {
        let mut plans = Vec::new();
        for named in &all {
            let planned = plan::plan(named, &work).await;
            plans.push(planned.map_err(|failure| of_entry(named, failure))?);
        }
        return Ok(Outcome {
            stdout: report::render_plan(&plans, run.output)?,
            ending: Ok(format!("nothing was fetched, {:.2} s", seconds())),
        });
    }
    let done = fetch_all(&all, &work).await;
    // The bar goes before the result is shown.
    drop(shared);
    let done = done?;
    Ok(Outcome {
        stdout: report::render(&done, run.output)?,
        ending: Ok(report::summary(&done, seconds())),
    })
}

/// A failure that names its entry of the list.
fn of_entry(named: &Named<'_>, failure: Failure) -> Failure {
    match named.entry.number {
        Some(number) => failure.context(format!("entry {number}, {}", named.entry.location)),
        None => failure,
    }
}

/// The store of each entry.
fn open(request: &Request) -> Result<Vec<Named<'_>>, Failure> {
    request
        .entries
        .iter()
        .map(|entry| {
            Ok(Named {
                entry,
                source: request.access.open(&entry.location)?,
                identity: entry
                    .location
                    .identity(request.access.endpoint(&entry.location)),
            })
        })
        .collect()
}

/// Fetches all entries, several at a time. The first failure stops the rest.
async fn fetch_all(all: &[Named<'_>], work: &Work<'_>) -> Result<Vec<Done>, Failure> {
    let most = usize::from(work.request.tuning.parallel);
    let mut waiting = all.iter().enumerate();
    let mut running = FuturesUnordered::new();
    let mut done: Vec<(usize, Done)> = Vec::new();
    let mut cause = None;
    let mut is_over = false;
    loop {
        while running.len() < most && !is_over {
            let Some((at, named)) = waiting.next() else {
                break;
            };
            running.push(async move { (at, fetch(named, work).await) });
        }
        match running.next().await {
            None => break,
            Some((at, Ok(one))) => done.push((at, one)),
            Some((_, Err(failure))) => {
                // Those that were stopped may end before the one that has stopped them.
                is_over = true;
                cause = cause.or(failure);
            }
        }
    }
    if is_over {
        return Err(cause.unwrap_or_else(|| Failure::new(Kind::Bug, "nobody says why it ended")));
    }
    done.sort_by_key(|(at, _)| *at);
    Ok(done.into_iter().map(|(_, one)| one).collect())
}

/// One entry; `None` if it only stopped since another one had failed.
async fn fetch(named: &Named<'_>, work: &Work<'_>) -> Result<Done, Option<Failure>> {
    let held = Held::default();
    let start = tokio::time::Instant::now();
    let attempt = async {
        match named.entry.what {
            What::Object => object::fetch(named, work, &held).await,
            What::Prefix => prefix::fetch(named, work, &held).await,
            What::Archive(choice) => archive::fetch(named, choice, work, &held).await,
        }
    };
    let mut done = work
        .supervise(attempt, &held)
        .await
        .map_err(|failure| failure.map(|failure| of_entry(named, failure)))?;
    done.seconds = start.elapsed().as_secs_f64();
    Ok(done)
}
